"""The other programs: where they are, and how each is asked for the same work.

A program that is missing, or that fails, costs its lines and nothing else.
"""

import shutil
import subprocess
from pathlib import Path

import material
from material import Material
from measure import Command, Failed, Runner

NAMES = [
    "age", "age-keygen", "argon2", "envsubst", "fnox", "gpg", "kbs2", "keepassxc-cli",
    "minijinja-cli", "pass", "perl", "rg", "sops", "sqlcipher",
]  # fmt: skip

RAW_KEY = "ab" * 32

# Stores of one file, or one XML element, a record are made with at most so many.
FEW = 1000


class Peers:
    def __init__(self, folder: Path, runner: Runner, data: Material, path: str, say):
        self.folder = folder
        self.runner = runner
        self.data = data
        self.say = say
        self.at = {name: shutil.which(name, path=path) for name in NAMES}
        self.stores: dict[tuple[str, int], Path | None] = {}

    def missing(self) -> list[str]:
        return [name for name, path in self.at.items() if not path]

    def versions(self) -> str:
        asked = {
            "age": "--version", "fnox": "--version", "kbs2": "--version",
            "keepassxc-cli": "--version", "minijinja-cli": "--version", "sqlcipher": "--version",
            "sops": "--version",
        }  # fmt: skip
        found = []
        for name, option in asked.items():
            if self.at[name]:
                try:
                    said = self.runner.do(self.at[name], option).decode().split("\n")[0]
                except Failed:
                    said = "?"
                found.append(f"{name} {said.removeprefix(name).split()[0]}")
        return ", ".join(found)

    def commands(self, work: str, entries: int, **options) -> list[Command]:
        """The lines of all peers that can do this `work` with so many entries."""
        found = []
        for peer in (self.kbs2, self.passwords, self.fnox, self.sops, self.keepassxc,
                     self.sqlcipher, self.age):  # fmt: skip
            try:
                found += peer(work, entries, **options)
            except (Failed, OSError, subprocess.SubprocessError) as error:
                self.say(f"left out: {peer.__name__}: {error}")
        return found

    def store(self, peer: str, entries: int, make) -> Path:
        """The folder of a peer's store; made once. What could not be made is not tried again."""
        key = (peer, entries)
        if key not in self.stores:
            self.stores[key] = None
            self.data.progress(f"making a store of {peer} with {entries:,} entries")
            folder = self.folder / f"{peer}-{entries}"
            folder.mkdir(mode=0o700)
            make(folder)
            self.stores[key] = folder
        folder = self.stores[key]
        if folder is None:
            raise Failed("its store could not be made")
        return folder

    # --- a file for each record ---

    def kbs2(self, work: str, entries: int) -> list[Command]:
        kbs2 = self.at["kbs2"]
        if not kbs2 or work not in ("get", "add") or entries > FEW:
            return []

        def make(folder: Path) -> None:
            self.runner.do(
                kbs2, "-c", folder / "config", "init", "--insecure-not-wrapped",
                "-s", folder / "store",
            )  # fmt: skip
            config = folder / "config" / "kbs2.conf"
            if config.exists():
                text = config.read_text().replace("agent-autostart = true", "agent-autostart = false")
                config.write_text(text)
            record = folder / "record"
            for number in range(entries):
                fields = material.fields(number)
                record.write_text(f"{fields['user']}\x01{fields['password']}")
                self.runner.do(
                    kbs2, "-c", folder / "config", "new", f"entry-{number}", stdin=record
                )

        folder = self.store("kbs2", entries, make)
        config = folder / "config"
        if work == "add":
            return [
                Command(
                    "kbs2 new (not durable)",
                    lambda n: [kbs2, "-c", config, "new", f"new-{n}"],
                    stdin=lambda _: folder / "record",
                )
            ]
        last = entries - 1
        return [
            Command(
                "kbs2 pass",
                lambda _: [kbs2, "-c", config, "pass", f"entry-{last}"],
                check=lambda _, out: is_password(out, last),
            )
        ]

    def passwords(self, work: str, entries: int) -> list[Command]:
        """pass. Its processes ask an agent for the key, whose time is not counted."""
        program = self.at["pass"]
        if not program or not self.at["gpg"] or work not in ("get", "add") or entries > FEW:
            return []

        def make(folder: Path) -> None:
            gnupg = Path(self.runner.env["GNUPGHOME"])
            if not gnupg.exists():
                gnupg.mkdir(mode=0o700)
                self.runner.do(
                    self.at["gpg"], "--batch", "--quiet", "--passphrase", "",
                    "--quick-generate-key", "bench@example.com", "future-default", "default", "never",
                )  # fmt: skip
            env = {"PASSWORD_STORE_DIR": str(folder)}
            self.runner.do(program, "init", "bench@example.com", env=env)
            one = folder / "one"
            one.write_text(material.password(entries - 1) + "\n")
            self.runner.do(program, "insert", "-m", "entry-0", env=env, stdin=one)
            for number in range(1, entries):
                shutil.copy(folder / "entry-0.gpg", folder / f"entry-{number}.gpg")

        folder = self.store("pass", entries, make)
        env = {"PASSWORD_STORE_DIR": str(folder)}
        if work == "add":
            return [
                Command(
                    "pass insert (not durable)",
                    lambda n: [program, "insert", "-m", f"new-{n}"],
                    lambda _: env,
                    lambda _: folder / "one",
                )
            ]
        return [
            Command(
                "pass show",
                lambda _: [program, "show", f"entry-{entries - 1}"],
                lambda _: env,
                check=lambda _, out: is_password(out, entries - 1),
            )
        ]

    # --- one file with a sealed value for each record ---

    def fnox(self, work: str, entries: int) -> list[Command]:
        fnox, keygen = self.at["fnox"], self.at["age-keygen"]
        if not fnox or not keygen or work not in ("get", "add") or entries > FEW:
            return []

        def make(folder: Path) -> None:
            (folder / "fnox.toml").write_text(
                f'[providers.age]\ntype = "age"\nrecipients = ["{self.recipient()}"]\n'
            )
            (folder / "records.env").write_text(self.data.records(entries, "vars").read_text())
            (folder / "value").write_text(material.password(7))
            self.runner.do(
                "sh", "-c", 'cd "$1" && "$2" import --provider age --force -i records.env env', "sh",
                folder, fnox, env=env,
            )  # fmt: skip

        env = {"FNOX_AGE_KEY_FILE": str(self.age_key())}
        folder = self.store("fnox", entries, make)
        config = folder / "fnox.toml"
        if work == "add":
            return [
                Command(
                    "fnox set (not durable)",
                    lambda n: [fnox, "-c", config, "set", f"NEW_{n + 1}", "--provider", "age"],
                    lambda _: env,
                    lambda _: folder / "value",
                )
            ]
        return [
            Command(
                "fnox get",
                lambda _: [fnox, "-c", config, "get", material.variable(entries - 1)],
                lambda _: env,
                check=lambda _, out: is_password(out, entries - 1),
            )
        ]

    def sops(self, work: str, entries: int) -> list[Command]:
        sops, keygen = self.at["sops"], self.at["age-keygen"]
        if not sops or not keygen or work != "get" or entries > FEW:
            return []

        def make(folder: Path) -> None:
            sealed = self.runner.do(
                sops, "encrypt", "--age", self.recipient(), self.data.vars_json(entries)
            )
            (folder / "store.json").write_bytes(sealed)

        env = {"SOPS_AGE_KEY_FILE": str(self.age_key())}
        folder = self.store("sops", entries, make)
        last = f'["{material.variable(entries - 1)}"]'
        return [
            Command(
                "sops decrypt --extract",
                lambda _: [sops, "decrypt", "--extract", last, folder / "store.json"],
                lambda _: env,
                check=lambda _, out: is_password(out, entries - 1),
            )
        ]

    # --- the whole store sealed as one ---

    def keepassxc(self, work: str, entries: int) -> list[Command]:
        program = self.at["keepassxc-cli"]
        if not program or work != "get" or entries > FEW:
            return []

        def make(folder: Path) -> None:
            (folder / "records.xml").write_text(keepass_xml(entries))
            (folder / "passphrase").write_text("bench\nbench\n")
            self.runner.do(
                program, "import", "-p", folder / "records.xml", folder / "store.kdbx",
                stdin=folder / "passphrase",
            )  # fmt: skip

        folder = self.store("keepassxc", entries, make)
        return [
            Command(
                "keepassxc-cli show (by passphrase)",
                lambda _: [program, "show", "-q", "-s", "-a", "Password", folder / "store.kdbx",
                           f"entry-{entries - 1}"],
                stdin=lambda _: folder / "passphrase",
                check=lambda _, out: is_password(out, entries - 1),
            )
        ]  # fmt: skip

    def age(self, work: str, entries: int) -> list[Command]:
        age = self.at["age"]
        if not age or not self.at["age-keygen"] or work not in ("get", "import"):
            return []
        records = self.data.records(entries, "tsv")
        if work == "import":
            out = self.folder / "age-import"
            return [
                Command(
                    "age, one sealed file (not durable)",
                    lambda n: [age, "-r", self.recipient(), "-o", f"{out}-{n}", records],
                )
            ]

        def make(folder: Path) -> None:
            self.runner.do(age, "-r", self.recipient(), "-o", folder / "store.age", records)

        folder = self.store("age", entries, make)
        # The last record, so that nothing is spared; and the whole file, for a search that stops
        # early would stop age too.
        script = f'"$1" -d -i "$2" "$3" | grep "^{material.name(entries - 1)}"'
        return [
            Command(
                "age -d, piped to grep",
                lambda _: ["sh", "-c", script, "sh", age, self.age_key(), folder / "store.age"],
                check=lambda _, out: material.password(entries - 1).encode() in out,
            )
        ]

    def sqlcipher(self, work: str, entries: int) -> list[Command]:
        program = self.at["sqlcipher"]
        if not program:
            return []
        table = "CREATE TABLE r(name TEXT PRIMARY KEY, user, password, url, notes) WITHOUT ROWID;"

        def fill(folder: Path, key: str) -> Path:
            script = folder / "script"
            script.write_text(
                f'PRAGMA key="{key}";\n{table}\n.mode tabs\n'
                f".import {self.data.records(entries, 'tsv')} r\n"
            )
            return script

        def make(folder: Path) -> None:
            script = fill(folder, f"x'{RAW_KEY}'")
            self.runner.do(program, folder / "store", stdin=script)

        raw = f"PRAGMA key=\"x'{RAW_KEY}'\";"
        if work == "import":
            folder = self.folder / f"sqlcipher-import-{entries}"
            folder.mkdir(exist_ok=True)
            script = fill(folder, f"x'{RAW_KEY}'")
            return [
                Command(
                    "sqlcipher .import (raw key)",
                    lambda n: [program, folder / f"store-{n}"],
                    stdin=lambda _: script,
                )
            ]
        store = self.store("sqlcipher", entries, make) / "store"
        if work == "add":
            row = "INSERT INTO r VALUES('new/{}', 'u', hex(randomblob(16)), 'url', hex(randomblob(40)));"
            return [
                Command(
                    "sqlcipher INSERT (raw key)",
                    lambda n: [program, store, raw + row.format(n)],
                )
            ]
        one = f"SELECT password FROM r WHERE name='{material.name(entries - 1)}'"
        return [
            Command(
                "sqlcipher SELECT (raw key)",
                lambda _: [program, store, raw + one],
                check=lambda _, out: is_password(out, entries - 1),
            )
        ]

    # --- keys for age ---

    def age_key(self) -> Path:
        path = self.folder / "age-key"
        if not path.exists():
            self.runner.do(self.at["age-keygen"], "-o", path)
        return path

    def recipient(self) -> str:
        return self.runner.do(self.at["age-keygen"], "-y", self.age_key()).decode().strip()


def is_password(out: bytes, number: int) -> bool:
    return out.strip().decode(errors="replace").splitlines()[-1:] == [material.password(number)]


def keepass_xml(entries: int) -> str:
    def one(number: int) -> str:
        fields = material.fields(number)
        strings = {
            "Title": f"entry-{number}", "UserName": fields["user"], "URL": fields["url"],
            "Password": fields["password"], "Notes": fields["notes"],
        }  # fmt: skip
        return "<Entry>" + "".join(
            f"<String><Key>{key}</Key><Value>{value}</Value></String>"
            for key, value in strings.items()
        ) + "</Entry>"  # fmt: skip

    records = "".join(map(one, range(entries)))
    group = f"<Group><Name>Root</Name>{records}</Group>"
    return f'<?xml version="1.0"?><KeePassFile><Meta/><Root>{group}</Root></KeePassFile>'
