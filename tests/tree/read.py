"""Reads a tree of configurations with the programs that they are for.

    read.py TEMPLATES RENDERINGS VALUES [NAME...]

VALUES is JSON: for each reference, its value in base64. NAMES are those of the files, without any all. A program has to read in each rendering just what it
reads in the template, with the values in the place of the references. Prints what it reads otherwise, a line
`skipped: ...` for each program that is not on this machine, and a line `values: N` at the end.
"""
import base64, glob, http.client, http.server, json, os, re, shutil, socket, socketserver, subprocess, sys
import tempfile, threading, time, urllib.parse
import xml.etree.ElementTree as ElementTree
from configparser import ConfigParser

# Where servers are, which not everybody looks for.
os.environ['PATH'] += ':/usr/sbin'
TEMPLATES, RENDERINGS = map(os.path.abspath, sys.argv[1:3])
VALUES = {name: base64.b64decode(value) for name, value in json.load(open(sys.argv[3])).items()}


class Missing(Exception):
    """What would read the files is not on this machine."""


def run(*command, **options):
    """What a program prints, as bytes."""
    if not shutil.which(command[0]): raise Missing(command[0])
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300, **options)
    if done.returncode: raise ValueError(f'{command[0]} fails: {done.stderr.decode()[-1000:]}')
    return done.stdout


def flat(tree, name=''):
    """The leaves of a tree by their paths; what is no text by its type as well."""
    if isinstance(tree, dict): pairs = tree.items()
    elif isinstance(tree, list): pairs = enumerate(tree)
    else: return {name: tree if isinstance(tree, (str, bytes)) else repr(tree)}
    return {key: leaf for step, branch in pairs for key, leaf in flat(branch, f'{name}/{step}').items()}


def each(read):
    """A reader of many files, out of one that reads a single file."""
    return lambda paths: {path: read(path) for path in paths}


def text(path):
    return open(path, encoding='utf-8', newline='').read()


def nginx(path):
    """What nginx tests; and what it, while it runs, asks of a partner and passes on."""
    folder = os.path.dirname(path)
    seen = {}
    class Upstream(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen['Authorization'] = self.headers['Authorization']
            self.send_response(204)
            self.end_headers()
        def address_string(self): return ''
        def log_message(self, *rest): pass
    if os.geteuid(): raise Missing('nginx for root')
    options = ['nginx', '-e', 'stderr', '-p', folder, '-c', path, '-g', 'master_process off; daemon off;']
    run(*options, '-t', cwd=folder)
    # The key that it takes is shown nowhere; so it is tried.
    key = seen['key'] = re.search('"(.*)" 1;', text(path)).group(1)
    os.chdir(folder)
    server = socketserver.ThreadingUnixStreamServer('upstream.sock', Upstream)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    process = subprocess.Popen(options, cwd=folder, stdin=subprocess.DEVNULL)
    try:
        for answer, key in (('its key', key), ('another key', 'x' + key)):
            connection = http.client.HTTPConnection('localhost')
            for wait in range(200):
                connection.sock = socket.socket(socket.AF_UNIX)
                try: connection.sock.connect('nginx.sock'); break
                except OSError: time.sleep(0.05)  # until it listens
            connection.request('GET', '/', headers={'X-Api-Key': key})
            seen[answer] = str(connection.getresponse().status)
    finally:
        process.terminate()
        process.wait(30)
        server.shutdown()
        server.server_close()
        os.remove('upstream.sock')
    return seen


def postfix(path):
    folder = os.path.dirname(path)
    def setting(name): return run('postconf', '-c', folder, '-h', name).decode().removesuffix('\n')
    relay = '[smtp.relay.example]:587'
    found = {name: setting(name) for name in ('aliases_bind_pw', 'relayhost', 'smtp_sasl_password_maps')}
    table = found['smtp_sasl_password_maps']
    found['login'] = run('postmap', '-c', folder, '-q', relay, table).decode().removesuffix('\n')
    return found


def sasl_passwd(path):
    def login(key):
        return run('postmap', '-c', os.path.dirname(path), '-q', key, 'texthash:' + path).decode()
    return {key: login(key) for key in ('[smtp.relay.example]:587', '@example.com')}


def dovecot(path):
    """As it prints all that is set, one block below the other."""
    shown = run('doveconf', '-c', path, '-n', '-P').decode()
    return {str(number): line for number, line in enumerate(shown.splitlines()) if '=' in line}


def systemd(path):
    """What it shows while it debugs. Words are quoted as in C, and `$$` is `$` when they are run."""
    command = ['systemd-analyze', 'verify', '--man=no', '--recursive-errors=no', path]
    shown = run(*command, env=dict(os.environ, SYSTEMD_LOG_LEVEL='debug', LC_ALL='C.UTF-8')).decode()
    unit = shown.split('-> Unit orders.service:\n')[1]
    found = dict(re.findall(r'\n\t\tEnvironment: (\w+)=([^\n]*)', unit))
    line = re.search(r'\n\t\t\tCommand Line: ([^\n]*)', unit).group(1)
    for number, word in enumerate(re.findall(r'"(?:\\.|[^"\\])*"|[^ ]+', line)):
        if word.startswith('"'): word = re.sub(r'\\(.)', r'\1', word[1:-1])
        found[f'word {number}'] = word.replace('$$', '$')
    return found


JAVA = r'''
import java.io.*;
import java.util.*;
class Read {
    public static void main(String[] paths) throws IOException {
        Base64.Encoder base64 = Base64.getEncoder();
        for (String path : paths) {
            Properties all = new Properties();
            try (InputStream in = new FileInputStream(path)) { all.load(in); }
            for (String key : all.stringPropertyNames())
                System.out.println(path + "\t" + key + "\t"
                    + base64.encodeToString(all.getProperty(key).getBytes("UTF-8")));
        }
    }
}
'''


def java(paths):
    if not shutil.which('javac'): raise Missing('javac')
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, 'Read.java')
        open(program, 'w').write(JAVA)
        shown = run('java', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', program, *paths).decode()
    found = {path: {} for path in paths}
    for line in shown.splitlines():
        path, key, value = line.split('\t')
        found[path][key] = base64.b64decode(value)
    return found


def yaml(path):
    try: import yaml
    except ImportError: raise Missing('PyYAML')
    documents = list(yaml.safe_load_all(open(path, 'rb')))
    for document in documents:
        if document.get('kind') != 'Secret': continue
        data = document['data']
        # In the template stands the reference with its filter.
        if path.startswith(RENDERINGS):
            for key in data: data[key] = base64.b64decode(data[key], validate=True)
        else:
            for key in data: data[key] = data[key].replace(' | base64', '')
    return flat(documents)


def terraform(path):
    # It is in no distribution; without it, the text itself is compared.
    if not shutil.which('terraform'):
        if path.endswith('.json'): return flat(json.loads(text(path)))
        return {str(number): line for number, line in enumerate(text(path).splitlines())}
    names = ('region', 'tenant', 'db_password', 'api_tokens', 'tags', 'dsn')
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, 'variables.tf'), 'w') as out:
            for name in names: out.write('variable "%s" {}\n' % name)
        if path.endswith('.tfvars'): run('terraform', 'fmt', '-check', path)
        wanted = 'jsonencode({%s})\n' % ', '.join('%s = var.%s' % (name, name) for name in names)
        shown = run('terraform', 'console', '-no-color', '-var-file=' + path, input=wanted.encode(), cwd=folder,
                    env=dict(os.environ, CHECKPOINT_DISABLE='1'))
        return flat(json.loads(json.loads(shown)))


def dotenv(path):
    try: import dotenv
    except ImportError: raise Missing('python-dotenv')
    found = dotenv.dotenv_values(path)
    assert found == shell(path), 'a shell reads it otherwise'
    return found


def shell(path):
    """The variables that bash has because of it."""
    script = r'''true; before=$'\n'$(compgen -v)$'\n'; . "$0"
    for name in $(compgen -v); do
        [[ $name = name || $name = before || $before = *$'\n'$name$'\n'* ]] || printf '%s=%s\0' "$name" "${!name}"
    done'''
    shown = run('bash', '--norc', '-c', script, path, env={'PATH': os.environ['PATH']}).decode()
    return dict(pair.split('=', 1) for pair in shown.split('\0')[:-1])


def mysql(path):
    found = {}
    for group in ('client', 'mysqldump'):
        shown = run('my_print_defaults', '--defaults-file=' + path, group)
        pairs = re.findall(rb'--([\w-]+)=?(.*?)\n(?=--|\Z)', shown, re.DOTALL)
        found.update({f'{group} {name.decode()}': value for name, value in pairs})
    return found


def git(path):
    pairs = run('git', 'config', '-z', '-f', path, '--list').decode().split('\0')
    return dict(pair.split('\n', 1) for pair in pairs if pair)


def python_ini(path):
    tree = ConfigParser(defaults={'here': '/srv'})
    tree.read(path, encoding='utf-8')
    return flat({name: dict(section) for name, section in tree.items()})


def genesys(sections, path):
    """With what the fill rule has to fill in the template."""
    if path.startswith(RENDERINGS): return flat(sections)
    tenant = path.split(os.sep)[-3]
    for name, options in sections.items():
        account = options.get('mailbox') or options.get('user')
        for option, value in options.items():
            if value.strip('*'): continue
            if name.startswith('secret-'): options[option] = f'bulla://secret-{tenant}/client-secret'
            elif option == 'client-id': options[option] = f'bulla://secret-{tenant}/client-id'
            else: options[option] = f'bulla://mailbox/{account}/refresh-token'
    return flat(sections)


def genesys_ini(path):
    tree = ConfigParser(interpolation=None)
    tree.read(path, encoding='utf-8')
    return genesys({name: dict(tree[name]) for name in tree.sections()}, path)


def genesys_xml(path):
    root = ElementTree.parse(path).getroot()
    return genesys({section.get('key'): {pair.get('key'): pair.get('value') for pair in section}
                    for section in root.iter('list_pair')}, path)


def xml(path):
    found = {}
    for number, element in enumerate(ElementTree.parse(path).getroot().iter()):
        found[f'{number} {element.tag}'] = element.text or ''
        found.update({f'{number} {element.tag} {name}': value for name, value in element.items()})
    return found


def toml(path):
    try: import tomllib
    except ImportError: raise Missing('tomllib')
    return flat(tomllib.load(open(path, 'rb')))


READERS = {
    'nginx/nginx.conf': each(nginx),
    'postfix/main.cf': each(postfix),
    'postfix/sasl_passwd': each(sasl_passwd),
    'dovecot/dovecot.conf': each(dovecot),
    'spring/application.properties': java,
    'spring/application.yml': each(yaml),
    'kubernetes/app.yaml': each(yaml),
    'compose/compose.yaml': each(yaml),
    'compose/.env': each(dotenv),
    'systemd/orders.service': each(systemd),
    'terraform/prod.auto.tfvars.json': each(terraform),
    'terraform/stage.tfvars': each(terraform),
    'helm/values.yaml': each(yaml),
    'genesys/emailserver.cfg': each(genesys_ini),
    'genesys/emailserver.xml': each(genesys_xml),
    'mysql/my.cnf': each(mysql),
    'git/.gitconfig': each(git),
    'default/orders.sh': each(shell),
    'python/alembic.ini': each(python_ini),
    'tomcat/server.xml': each(xml),
    'app/settings.toml': each(toml),
    'node/config.json': each(lambda path: flat(json.load(open(path, 'rb')))),
}
BARE = r'bulla://[^\s"\'|(){}]+'
PATTERN = re.compile((r'\{\{\s*(%s)\s*(?:\|\s*(\w+)\s*)?\}\}|\(\((%s)\)\)|^(%s)$' % (BARE, BARE, BARE)).encode())
FILTERS = {
    b'url': lambda value: urllib.parse.quote(value, safe='').encode(),
    b'json': lambda value: json.dumps(value.decode(), ensure_ascii=False).encode(),
    None: lambda value: value,
}


def expected(template):
    """A text of a template with the values in it, and how many these are."""
    def place(found):
        reference = found.group(1) or found.group(3) or found.group(4)
        return FILTERS[found.group(2)](VALUES[reference.decode()])
    return PATTERN.subn(place, template)


def as_bytes(value):
    return value if isinstance(value, bytes) else value.encode('utf-8', 'surrogateescape')


def main():
    values = 0
    for name, read in READERS.items():
        if sys.argv[4:] and name not in sys.argv[4:]: continue
        templates = sorted(glob.glob(os.path.join(TEMPLATES, '*', name)))
        pairs = {path: RENDERINGS + path.removeprefix(TEMPLATES) for path in templates}
        try: found = read([*pairs, *pairs.values()])
        except Missing as missing:
            print(f'skipped: {missing} is not there to read {name}')
            continue
        except Exception as why:
            print(f'{name}: {type(why).__name__}: {why}')
            continue
        for path, rendered in pairs.items():
            if found[path].keys() != found[rendered].keys():
                print(f'{rendered}: other names: {found[path].keys() ^ found[rendered].keys()}')
                continue
            placed = 0
            for key, value in found[path].items():
                want, count = expected(as_bytes(value))
                got = as_bytes(found[rendered][key])
                placed += count
                if got != want: print(f'{rendered}: {key}: {want!r} is read as {got!r}')
            if not placed: print(f'{rendered}: no value is read')
            values += placed
    print('values:', values)


main()
