"""Plays the worker of GitHub's runner: `worker.py WORKFLOW JOB CONTEXTS`, in the job's workspace.

Runs the steps of a job that have a `run`, as documented at docs.github.com/actions and done by
github.com/actions/runner, and prints the log: lines end where .NET's ReadLine says so, `::add-mask::` is
a command and everything else a line of the log, in which what is to be masked is replaced by `***`.
CONTEXTS is a file of JSON with the values of `${{ vars.X }}` and `${{ secrets.X }}`; secrets are masked too.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

import yaml

with open("/proc/self/comm", "w") as name:
    name.write("Runner.Worker")
with open(sys.argv[1]) as text:
    job = yaml.safe_load(text)["jobs"][sys.argv[2]]
with open(sys.argv[3]) as text:
    contexts = json.load(text)
masks = {line for value in contexts["secrets"].values() for line in value.splitlines() if line}
folder = tempfile.mkdtemp()
env = dict(os.environ, CI="true", GITHUB_ACTIONS="true", RUNNER_TEMP=folder)


def evaluated(values):
    def value(found):
        context, name = found.group(1).split(".")
        return contexts[context].get(name, "")

    return {k: re.sub(r"\$\{\{\s*([\w.]+)\s*\}\}", value, str(v)) for k, v in values.items()}


def log(line):
    command = re.match(r"\s*::add-mask::(.*)", line, re.DOTALL)
    if command:
        data = command.group(1).replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
        masks.add(data)
        masks.update(part.strip() for part in re.split(r"[\r\n]", data) if part.strip())
        return
    for mask in sorted(masks, key=len, reverse=True):
        line = line.replace(mask, "***")
    print(line)


env.update(evaluated(job.get("env", {})))
failed = False
for step in job["steps"]:
    if "run" not in step or (failed and step.get("if") != "always()"):
        continue
    script, variables = os.path.join(folder, "step.sh"), os.path.join(folder, "variables")
    with open(script, "w") as file:
        file.write(step["run"])
    open(variables, "w").close()
    process = subprocess.Popen(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", script],
        env=dict(env, GITHUB_ENV=variables, **evaluated(step.get("env", {}))),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read().decode("utf-8", "replace")
    for line in re.split(r"\r\n|\r|\n", output):
        log(line)
    failed = process.wait() != 0 or failed
    with open(variables) as file:
        env.update(line.rstrip("\n").split("=", 1) for line in file)
left = [name for name in os.listdir(folder) if name not in ("step.sh", "variables")]
print("left in RUNNER_TEMP:", left)
sys.exit(failed)
