#!/usr/bin/env python3
"""A reader of bulla vaults, format 1, written from docs/format.md alone.

It shares no code with the Rust crates. Where the two disagree, one of them or the document is
wrong. It follows the document's sections in their order and names the stage at which a vault
fails. It holds secrets in ordinary Python memory, so it is a check of the format and no tool for
daily use.

    reader.py vault PATH [--passphrase-file F] [--identity F] [--pin HEX] [--json] [--receipt F]
    reader.py vectors DIR
    reader.py example VECTOR

Exit codes: 0 done, 1 failed, 2 usage, 3 locked or of unknown origin, 5 damaged or tampered.
"""

# The file is over 600 lines because a reader that is to be checked against one document is best
# one file, in the order of that document.

import argparse
import hashlib
import hmac
import json
import os
import re
import sqlite3
import struct
import sys
import unicodedata
import urllib.parse
from pathlib import Path

import argon2.low_level
from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

try:
    from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
except ImportError:
    MLKEM768PrivateKey = None


class Fault(Exception):
    """The vault is refused. `stage` names the check that failed."""

    def __init__(self, stage, text):
        super().__init__(text)
        self.stage = stage


class NotAvailable(Exception):
    """This Python lacks an algorithm: nothing is known about the vault."""


def demand(condition, stage, text):
    if not condition:
        raise Fault(stage, text)


# Section 1: conventions


FORMAT = 1
SUITE = 1
SUITE_BYTES = struct.pack("<H", SUITE)


def u32(number):
    return struct.pack("<I", number)


def u64(number):
    return struct.pack("<Q", number)


def LP(*parts):
    """Every part behind its length. Texts are ASCII; numbers are given as bytes by the caller."""
    parts = [part.encode("ascii") if isinstance(part, str) else part for part in parts]
    return b"".join(u32(len(part)) + part for part in parts)


def H(data):
    return hashlib.sha256(data).digest()


def HMAC(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def Expand(key, info, length):
    return HKDFExpand(algorithm=hashes.SHA256(), length=length, info=info).derive(key)


def open_gcm(key, aad, ciphertext):
    """The plaintext, or None if the tag is wrong. The nonce is zero: every key is used once."""
    try:
        return AESGCM(key).decrypt(bytes(12), ciphertext, aad)
    except InvalidTag:
        return None


def Argon2id(passphrase, salt, m, t, p):
    return argon2.low_level.hash_secret_raw(
        passphrase, salt, t, m, p, 32, argon2.low_level.Type.ID, version=0x13
    )


class Cursor:
    """Takes fields off the front of some bytes and notes where each of them stood.

    Bytes that end too early, or are left over, fail with the stage of the cursor. `notes` holds
    (start, end, what) for the worked example.
    """

    def __init__(self, data, stage):
        self.data = data
        self.stage = stage
        self.at = 0
        self.notes = []

    def take(self, length, what):
        demand(length <= len(self.data) - self.at, self.stage, f"{what}: the bytes end too early")
        start, self.at = self.at, self.at + length
        self.notes.append((start, self.at, what))
        return self.data[start : self.at]

    def number(self, width, what):
        return int.from_bytes(self.take(width, what), "little")

    def finish(self, what):
        demand(self.at == len(self.data), self.stage, f"{what}: bytes are left over")


# Section 2: the tables. A vault in memory is a dictionary of five dictionaries.


TABLES = ("head", "keyring", "entry", "history", "node")
SINGLE = b"\0"


# Section 3: keys


WORKING_KEYS = ("head", "keyring", "names", "data", "hedge", "seed", "locks", "receipts")


def working_keys(vk, vault_id):
    return {name: Expand(vk, LP("bulla/1 " + name, vault_id), 32) for name in WORKING_KEYS}


def key_and_commitment(key, label, *context):
    both = Expand(key, LP(label, *context), 64)
    return both[:32], both[32:]


BOX_OVERHEAD = 32 + 32 + 16


def open_box(key, binding, box):
    """The plaintext of a box, whose length the caller has checked."""
    salt, stated, ciphertext = box[:32], box[32:64], box[64:]
    one_time, commitment = key_and_commitment(key, "bulla/1 seal", binding, salt)
    demand(
        hmac.compare_digest(stated, commitment),
        "commitment",
        "the box was sealed under another key or bound to another place",
    )
    plaintext = open_gcm(one_time, binding, ciphertext)
    demand(plaintext is not None, "tag", "the box does not authenticate")
    return plaintext


# Section 4: the keyring


KEYRING_LIMIT = 65_536
KEYRING_FIXED = 181 + 128
SLOT_LIMIT = 32
PASSPHRASE_SLOT_LIMIT = 8
PASSPHRASE_LIMIT = 4_096


def check_shape(record, magic, what):
    """Section 9, step 1, but for the length, which the two records state differently."""
    demand(record is not None, "damaged", f"there is no {what}")
    demand(record[:8] == magic, "damaged", f"{what}: the magic is wrong")
    demand(len(record) >= 12, "damaged", f"{what}: too short")
    form, suite = struct.unpack_from("<HH", record, 8)
    demand(form == FORMAT, "unsupported", f"{what}: format {form} is not known here")
    demand(suite == SUITE, "unsupported", f"{what}: suite {suite} is not known here")


def check_kdf(m, t, p):
    least = 47_104 if t == 1 else 19_456
    within = 1 <= t <= 16 and 1 <= p <= 16 and least <= m <= 1_048_576
    demand(within, "kdf-bounds", "the cost of the key derivation is out of bounds")


class PassphraseSlot:
    sort = "passphrase"

    def __init__(self, cursor):
        self.id = cursor.take(8, "slot id")
        self.cost_bytes = cursor.take(12, "m, t, p")
        self.salt = cursor.take(32, "salt")
        self.commitment = cursor.take(32, "commitment c")
        self.wrapped = cursor.take(48, "GCM(k, binding, VK)")
        self.m, self.t, self.p = struct.unpack("<III", self.cost_bytes)

    def binding(self, keyring):
        return LP(
            "passphrase slot",
            SUITE_BYTES,
            keyring.vault_id,
            u32(keyring.key_epoch),
            self.id,
            self.cost_bytes,
            self.salt,
        )

    def open(self, keyring, passphrase):
        """VK, or None."""
        slot_key = Argon2id(passphrase, self.salt, self.m, self.t, self.p)
        binding = self.binding(keyring)
        key, commitment = key_and_commitment(slot_key, "bulla/1 slot", binding)
        if not hmac.compare_digest(self.commitment, commitment):
            return None
        return open_gcm(key, binding, self.wrapped)


class IdentitySlot:
    sort = "identity"

    def __init__(self, cursor):
        self.id = cursor.take(8, "slot id")
        self.hint = cursor.take(4, "hint")
        self.enc = cursor.take(1120, "enc")
        self.wrapped = cursor.take(48, "HPKE ciphertext of VK")

    def hints_at(self, keyring, identity):
        context = LP("bulla/1 hint", SUITE_BYTES, keyring.vault_id, u32(keyring.key_epoch), self.id)
        return hmac.compare_digest(self.hint, HMAC(identity.recipient, context)[:4])

    def open(self, keyring, identity):
        """VK, or None."""
        info = LP(
            "bulla/1 identity slot", SUITE_BYTES, keyring.vault_id, u32(keyring.key_epoch), self.id
        )
        return open_base(identity, self.enc, info, self.wrapped)


class Keyring:
    """A keyring whose shape and caps are right. Nothing in it is authentic yet."""

    def __init__(self, record):
        check_shape(record, b"bulla-kr", "keyring")
        demand(len(record) >= KEYRING_FIXED, "damaged", "keyring: too short")
        stated = struct.unpack_from("<I", record, 12)[0]
        demand(stated == len(record), "damaged", "keyring: the length is not the stated one")
        demand(H(record[:-128]) == record[-128:-96], "damaged", "keyring: the checksum is wrong")

        # Caps, section 9, step 2.
        demand(len(record) <= KEYRING_LIMIT, "damaged", "keyring: too long")
        self.record = record
        cursor = Cursor(record, "damaged")
        cursor.take(8, "magic")
        cursor.number(2, "FORMAT")
        cursor.number(2, "SUITE")
        cursor.number(4, "length of the record")
        self.vault_id = cursor.take(16, "vault id")
        self.key_epoch = cursor.number(4, "key epoch")
        self.public_key = cursor.take(32, "public signing key")
        self.seed_box = cursor.take(112, "box of the signing seed: salt, c, ciphertext, tag")
        count = cursor.number(1, "number of slots")
        demand(1 <= count <= SLOT_LIMIT, "damaged", "keyring: number of slots out of bounds")
        self.slots = [self.take_slot(cursor) for _ in range(count)]
        self.checksum = cursor.take(32, "checksum")
        self.mac = cursor.take(32, "MAC")
        self.signature = cursor.take(64, "signature")
        cursor.finish("keyring")
        self.notes = cursor.notes

        passphrases = [slot for slot in self.slots if slot.sort == "passphrase"]
        demand(
            len(passphrases) <= PASSPHRASE_SLOT_LIMIT, "damaged", "keyring: passphrase slots over 8"
        )
        ids = {slot.id for slot in self.slots}
        demand(len(ids) == count, "damaged", "keyring: two slots have one id")
        for slot in passphrases:
            check_kdf(slot.m, slot.t, slot.p)

    @staticmethod
    def take_slot(cursor):
        sort = cursor.number(1, "sort of the slot")
        demand(sort in (1, 2), "damaged", "keyring: a sort of slot that is not known")
        return PassphraseSlot(cursor) if sort == 1 else IdentitySlot(cursor)

    @property
    def pin(self):
        return H(self.public_key)

    def check_mac(self, keys):
        mac = HMAC(keys["keyring"], self.record[:-96])
        demand(hmac.compare_digest(self.mac, mac), "keyring-mac", "keyring: the MAC is wrong")

    def check_signature(self):
        message = LP("bulla/1 signed keyring", self.record[:-64])
        valid = verify_strict(self.public_key, self.signature, message)
        demand(valid, "signature", "keyring: the signature is wrong")

    def seed_binding(self):
        return LP(
            "signing seed",
            SUITE_BYTES,
            self.vault_id,
            u32(self.key_epoch),
            self.public_key,
        )

    def signing_seed(self, keys):
        return open_box(keys["seed"], self.seed_binding(), self.seed_box)


P25519 = 2**255 - 19
D25519 = -121665 * pow(121666, -1, P25519) % P25519


def is_small_order(point):
    """Whether eight times this encoded Edwards point is the neutral one (RFC 8032 section 5.1).

    Orders 1 and 2 have y = 1 and -1, order 4 has y = 0. A point of order 8 doubles to one with
    y = 0, so it has x^2 = -y^2, and in the equation of the curve d y^4 + 2 y^2 = 1.
    """
    y = (int.from_bytes(point, "little") & (2**255 - 1)) % P25519
    return y in (0, 1, P25519 - 1) or (D25519 * y**4 + 2 * y * y - 1) % P25519 == 0


def verify_strict(public_key, signature, message):
    """Ed25519 without points of small order. The library checks the range of S."""
    if is_small_order(public_key) or is_small_order(signature[:32]):
        return False
    if int.from_bytes(signature[32:], "little") >= 2**252 + 27742317777372353535851937790883648493:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


# HPKE base mode (RFC 9180) over X-Wing (draft-connolly-cfrg-xwing-kem), as section 4 uses it


KEM_X_WING = 0x647A
KDF_HKDF_SHA256 = 0x0001
AEAD_AES_256_GCM = 0x0002
HPKE_SUITE = b"HPKE" + struct.pack(">HHH", KEM_X_WING, KDF_HKDF_SHA256, AEAD_AES_256_GCM)
X_WING_LABEL = b"\\.//^\\"


class Identity:
    """An X-Wing seed with both private keys that it expands to."""

    def __init__(self, seed):
        if MLKEM768PrivateKey is None:
            raise NotAvailable("this Python has no ML-KEM: identities cannot be used")
        expanded = hashlib.shake_256(seed).digest(96)
        try:
            self.mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        except UnsupportedAlgorithm as error:
            raise NotAvailable("this Python has no ML-KEM: identities cannot be used") from error
        self.x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
        self.x25519_public = self.x25519.public_key().public_bytes_raw()
        self.recipient = self.mlkem.public_key().public_bytes_raw() + self.x25519_public

    def decapsulate(self, enc):
        """The shared secret. Raises ValueError where X25519 gives all zeros."""
        share = enc[1088:]
        secret_m = self.mlkem.decapsulate(enc[:1088])
        secret_x = self.x25519.exchange(X25519PublicKey.from_public_bytes(share))
        combined = secret_m + secret_x + share + self.x25519_public + X_WING_LABEL
        return hashlib.sha3_256(combined).digest()


def open_base(identity, enc, info, ciphertext):
    """OpenBase with empty associated data (RFC 9180 sections 5.1 and 6.1), or None."""

    def extract(salt, label, data):
        return HMAC(salt, b"HPKE-v1" + HPKE_SUITE + label + data)

    def expand(secret, label, context, length):
        prefix = struct.pack(">H", length) + b"HPKE-v1" + HPKE_SUITE
        return Expand(secret, prefix + label + context, length)

    try:
        shared = identity.decapsulate(enc)
    except ValueError:
        return None
    mode_base = b"\0"
    context = mode_base + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared, b"secret", b"")
    key = expand(secret, b"key", context, 32)
    nonce = expand(secret, b"base_nonce", context, 12)
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, b"")
    except InvalidTag:
        return None


# Section 5: the head


HEAD_LENGTH = 192


class Head:
    """A head whose shape is right. Nothing in it is authentic yet."""

    def __init__(self, record):
        check_shape(record, b"bulla-hd", "head")
        demand(len(record) == HEAD_LENGTH, "damaged", "head: the length is not 192")
        demand(H(record[:128]) == record[128:160], "damaged", "head: the checksum is wrong")
        self.record = record
        cursor = Cursor(record, "damaged")
        cursor.take(8, "magic")
        cursor.number(2, "FORMAT")
        cursor.number(2, "SUITE")
        self.vault_id = cursor.take(16, "vault id")
        self.incarnation = cursor.take(16, "incarnation")
        self.epoch = cursor.number(8, "epoch")
        self.key_epoch = cursor.number(4, "key epoch")
        self.count = cursor.number(8, "number of entry rows")
        self.root = cursor.take(32, "root")
        self.keyring_hash = cursor.take(32, "H(keyring record)")
        self.checksum = cursor.take(32, "checksum")
        self.mac = cursor.take(32, "MAC")
        cursor.finish("head")
        self.notes = cursor.notes

    def check_mac(self, keys):
        mac = HMAC(keys["head"], self.record[:-32])
        demand(hmac.compare_digest(self.mac, mac), "head-mac", "head: the MAC is wrong")


# Section 6: rows


OBJECT_ENTRY = 1
OBJECT_HISTORY = 2
KEPT_LIMIT = 64
PLAINTEXT_LIMIT = 2**24


def entry_id(keys, name):
    return HMAC(keys["names"], name.encode("utf-8"))[:16]


class Row:
    """A row taken apart. Its hash has been checked by the caller."""

    def __init__(self, row):
        cursor = Cursor(row, "row")
        self.object = cursor.number(1, "object")
        self.key_epoch = cursor.number(4, "key epoch")
        self.seq = cursor.number(8, "seq")
        self.version = cursor.number(8, "version")
        count = cursor.number(2, "n, kept earlier versions")
        demand(count <= KEPT_LIMIT, "row", "a row lists over 64 kept versions")
        self.kept = []
        for _ in range(count):
            version = cursor.number(8, "kept version")
            self.kept.append((version, cursor.take(32, "hash of its row")))
        versions = [version for version, _ in self.kept]
        demand(versions == sorted(set(versions)), "row", "kept versions are not ascending")
        earlier = all(version < self.version for version in versions)
        demand(earlier, "row", "a kept version is not earlier than the row's")
        self.plain_head = row[: cursor.at]
        self.box = cursor.take(len(row) - cursor.at, "box")
        demand(len(self.box) >= BOX_OVERHEAD, "row", "a box is too short")
        self.notes = cursor.notes

    def binding(self, vault_id, id):
        return LP("record", SUITE_BYTES, vault_id, id, self.plain_head)


def padded_length(length):
    """The least class that holds the prefix and the record, `length` bytes together."""
    if length <= 4096:
        return (length + 255) // 256 * 256
    exponent = length.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return (length + step - 1) // step * step


def unpad(plaintext):
    demand(4 <= len(plaintext) <= PLAINTEXT_LIMIT, "padding", "the plaintext's length is wrong")
    length = struct.unpack_from("<I", plaintext)[0]
    demand(
        padded_length(4 + length) == len(plaintext),
        "padding",
        "the plaintext is not of the class of its length",
    )
    demand(not any(plaintext[4 + length :]), "padding", "the padding is not zeros")
    return plaintext[4 : 4 + length]


# Section 7: records


RECORD_SCHEMA = 1
KINDS = ("secret", "oauth-client", "mailbox")
NAME_LIMIT = 512
FIELD_NAME_LIMIT = 128
LEDGER_NAME = "\0slots"
INVISIBLE = re.compile(
    r"[\0-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    r"\ufff9-\ufffb\U000e0000-\U000e007f]"
)
RECIPIENT_LENGTH = 1216


class Bincode(Cursor):
    """bincode 2's standard configuration, refusing every spelling but the shortest.

    Each spelling that is let through is the one that an encoder gives, so there is no need to
    encode what was read and compare.
    """

    def __init__(self, data):
        super().__init__(data, "encoding")

    def varint(self, bits, what):
        start = self.at
        first = self.number(1, what)
        if first > 250:
            demand(first <= 253, "encoding", f"{what}: not a number")
            width = {251: 2, 252: 4, 253: 8}[first]
            number = self.number(width, what)
            least = {2: 251, 4: 2**16, 8: 2**32}[width]
            demand(number >= least, "encoding", f"{what}: a number is spelt too long")
        else:
            number = first
        demand(number < 2**bits, "encoding", f"{what}: a number is too great")
        self.notes = [note for note in self.notes if note[0] < start]
        self.notes.append((start, self.at, f"{what}: {number}"))
        return number

    def flag(self, what):
        value = self.number(1, what)
        demand(value <= 1, "encoding", f"{what}: neither 0 nor 1")
        return value == 1

    def option(self, read, what):
        return read() if self.flag(f"{what} present?") else None

    def byte_string(self, what):
        return self.take(self.varint(64, f"length of {what}"), what)

    def text(self, what):
        try:
            return self.byte_string(what).decode("utf-8")
        except UnicodeDecodeError:
            raise Fault("encoding", f"{what}: not UTF-8") from None

    def items(self, read, what):
        count = self.varint(64, f"number of {what}")
        demand(count <= len(self.data) - self.at, "encoding", f"{what}: more than there are bytes")
        return [read() for _ in range(count)]

    def variant(self, names, what):
        number = self.varint(32, what)
        demand(number < len(names), "encoding", f"{what}: a variant that is not known")
        start, end, note = self.notes[-1]
        self.notes[-1] = (start, end, f"{note} {names[number]}")
        return names[number]


def decode_record(data):
    """The record as a dictionary, with the cursor that read it."""
    cursor = Bincode(data)
    schema = cursor.varint(16, "schema")
    demand(schema <= RECORD_SCHEMA, "newer", f"the record's schema {schema} is newer than 1")
    record = {"schema": schema, "name": cursor.text("name")}
    record["body"] = cursor.variant(("live", "removed", "system"), "body")
    if record["body"] == "live":
        record["kind"] = cursor.variant(KINDS, "kind")
        record["fields"] = cursor.items(lambda: decode_field(cursor), "fields")
        record["token state"] = cursor.option(
            lambda: {
                "schema": cursor.varint(16, "its schema"),
                "bytes": cursor.byte_string("state"),
            },
            "token state",
        )
    elif record["body"] == "removed":
        record["moved to"] = cursor.option(lambda: cursor.text("moved to"), "moved to")
    else:
        record["bytes"] = cursor.byte_string("bytes of the ledger")
    record["author"] = cursor.take(8, "author")
    record["time"] = cursor.varint(64, "time")
    record["reason"] = cursor.text("reason")
    record["extension"] = cursor.byte_string("extension")
    cursor.finish("record")
    return record, cursor


def decode_field(cursor):
    return {
        "name": cursor.text("field name"),
        "value": cursor.byte_string("value"),
        "public": cursor.flag("public"),
        "expires": cursor.option(lambda: cursor.varint(64, "expires"), "expires"),
    }


def decode_ledger(data):
    cursor = Bincode(data)
    owners = cursor.items(lambda: decode_owner(cursor), "owners")
    events = cursor.items(lambda: decode_event(cursor), "events")
    cursor.finish("ledger")
    return {"owners": owners, "events": events}, cursor


def decode_owner(cursor):
    return {
        "slot id": cursor.take(8, "slot id"),
        "label": cursor.text("label"),
        "recipient": cursor.option(lambda: cursor.byte_string("recipient"), "recipient"),
        "added": cursor.varint(64, "added"),
    }


def decode_event(cursor):
    event = {"time": cursor.varint(64, "time"), "author": cursor.take(8, "author")}
    event["change"] = cursor.variant(
        ("added", "removed", "passphrase changed", "rekeyed"), "change"
    )
    if event["change"] != "rekeyed":
        event["label"] = cursor.text("label")
    return event


def check_content(record, keys, id):
    """What a record that was sealed by a holder of the key must still be."""
    demand(record["schema"] == RECORD_SCHEMA, "content", "the record's schema is 0")
    name = record["name"]
    demand(entry_id(keys, name) == id, "content", "the record has the name of another entry")
    if name.startswith("\0"):
        demand(record["body"] == "system", "content", "a record of the vault's own is an entry")
        return
    demand(record["body"] != "system", "content", "an entry is a record of the vault")
    demand(is_entry_name(name), "content", "the entry's name is not allowed")
    if record["body"] == "live":
        names = [field["name"] for field in record["fields"]]
        demand(len(set(names)) == len(names), "content", "two fields have one name")
        for name in names:
            demand(is_field_name(name), "content", "a field's name is not allowed")
    elif record["moved to"] is not None:
        demand(is_entry_name(record["moved to"]), "content", "a new name is not allowed")


def is_entry_name(name):
    segments = name.split("/")
    return (
        len(name.encode("utf-8")) <= NAME_LIMIT
        and all(segment not in ("", ".", "..") for segment in segments)
        and is_plain(name)
    )


def is_field_name(name):
    return len(name.encode("utf-8")) <= FIELD_NAME_LIMIT and "/" not in name and is_entry_name(name)


def is_plain(text):
    return (
        not text.startswith("-")
        and text == text.strip()
        and unicodedata.is_normalized("NFC", text)
        and not INVISIBLE.search(text)
    )


# Section 8: the tree


BUCKET_LIMIT = 32
BUCKET_RECORD = 56
CHILD_RECORD = 40


def nibbles_of(id):
    return [nibble for byte in id for nibble in (byte >> 4, byte & 15)]


def node_key(prefix):
    padded = prefix + [0] * (len(prefix) % 2)
    packed = bytes(high << 4 | low for high, low in zip(padded[::2], padded[1::2]))
    return bytes([len(prefix)]) + packed


def read_node(nodes, prefix, count, stated_hash):
    """A node that its parent vouches for: a list of rows, or a list of sixteen children."""
    node = nodes.get(node_key(prefix))
    demand(node is not None, "node", "a node of the tree is missing")
    demand(H(node) == stated_hash, "node", "a node has another hash than its parent states")
    if count <= BUCKET_LIMIT:
        return "bucket", read_bucket(node, prefix, count)
    demand(len(prefix) < 32, "node", "an interior node is deeper than an id is long")
    demand(len(node) == 16 * CHILD_RECORD, "node", "an interior node has the wrong length")
    children = [(n, hash) for n, hash in struct.iter_unpack("<Q32s", node)]
    demand(sum(n for n, _ in children) == count, "count", "a node's counts are not its parent's")
    for n, hash in children:
        demand(n > 0 or hash == bytes(32), "node", "a child without rows has a hash")
    return "interior", children


def read_bucket(node, prefix, count):
    whole = len(node) == count * BUCKET_RECORD
    demand(whole, "count", "a bucket has not as many rows as its parent states")
    rows = [(id, seq, hash) for id, seq, hash in struct.iter_unpack("<16sQ32s", node)]
    ids = [id for id, _, _ in rows]
    demand(ids == sorted(set(ids)), "node", "a bucket's rows are not in order")
    for id in ids:
        demand(nibbles_of(id)[: len(prefix)] == prefix, "node", "a row is in the wrong bucket")
    return rows


def find(nodes, head, id):
    """The (seq, hash) of an id, or None: then it is proven to be absent."""
    prefix, count, hash = [], head.count, head.root
    while count > 0:
        sort, parts = read_node(nodes, prefix, count, hash)
        if sort == "bucket":
            return next(((seq, hash) for found, seq, hash in parts if found == id), None)
        nibble = nibbles_of(id)[len(prefix)]
        count, hash = parts[nibble]
        prefix = prefix + [nibble]
    return None


def walk(nodes, prefix, count, hash, seen):
    """Every (id, seq, hash) below a node, in order. Adds the keys of the nodes to `seen`."""
    if count == 0:
        demand(hash == bytes(32), "node", "a tree without rows has a root")
        return
    seen.add(node_key(prefix))
    sort, parts = read_node(nodes, prefix, count, hash)
    if sort == "bucket":
        yield from parts
    else:
        for nibble, (below, child) in enumerate(parts):
            yield from walk(nodes, prefix + [nibble], below, child, seen)


# Section 9: opening


class Expectation:
    """What a reader knows before it opens: all of it may be missing."""

    def __init__(self, pin=None, min_epoch=0, memory=None):
        self.pin = pin
        self.min_epoch = min_epoch
        self.memory = memory


class Vault:
    """An open vault: keyring and head are authentic, rows are checked as they are read."""

    def __init__(self, tables, passphrases=(), identities=(), expected=None):
        expected = expected or Expectation()
        self.tables = tables

        # 1 and 2: shape, then caps. Keyring() checks its own caps.
        self.head = head = Head(tables["head"].get(SINGLE))
        self.keyring = keyring = Keyring(tables["keyring"].get(SINGLE))
        self.check_belonging("damaged")

        # 3: slots.
        vk, self.slot = self.unlock(passphrases, identities)
        self.vk = vk
        self.keys = working_keys(vk, keyring.vault_id)

        # 4: keyring.
        keyring.check_mac(self.keys)
        keyring.check_signature()

        # 5: pin.
        if expected.pin is not None:
            same = hmac.compare_digest(expected.pin, keyring.pin)
            demand(same, "other-pin", "the vault has another pin than the expected one")
        elif self.slot.sort == "identity":
            raise Fault("unknown-pin", "an identity opens this vault, but its pin is not known")

        # 6: head.
        head.check_mac(self.keys)
        self.check_belonging("head-mac")
        demand(
            hmac.compare_digest(head.keyring_hash, H(keyring.record)),
            "keyring-hash",
            "the head belongs to another keyring",
        )

        # 7: memory.
        check_memory(head, expected)

    def check_belonging(self, stage):
        same_vault = self.head.vault_id == self.keyring.vault_id
        demand(same_vault, stage, "head and keyring are of different vaults")
        same_epoch = self.head.key_epoch == self.keyring.key_epoch
        demand(same_epoch, stage, "head and keyring are of different key epochs")

    def unlock(self, passphrases, identities):
        """VK and the slot that gave it. One fault, whatever the cause."""
        for identity in identities:
            slots = [slot for slot in self.keyring.slots if slot.sort == "identity"]
            slots.sort(key=lambda slot: not slot.hints_at(self.keyring, identity))
            for slot in slots:
                vk = slot.open(self.keyring, identity)
                if vk is not None:
                    return vk, slot
        for passphrase in passphrases:
            for slot in self.keyring.slots:
                if slot.sort == "passphrase" and 1 <= len(passphrase) <= PASSPHRASE_LIMIT:
                    vk = slot.open(self.keyring, passphrase)
                    if vk is not None:
                        return vk, slot
        raise Fault("locked", "no slot opens")

    def read(self, id):
        """One entry with its kept versions, or None if it is proven to be absent."""
        found = find(self.tables["node"], self.head, id)
        return None if found is None else self.read_found(id, *found)

    def read_found(self, id, seq, hash):
        row = self.checked_row(self.tables["entry"].get(id), hash, OBJECT_ENTRY)
        demand(row.seq == seq, "row", "a row has another seq than the tree states")
        entry = self.read_record(id, row)
        entry["kept"] = [self.read_kept(id, *kept) for kept in row.kept]
        return entry

    def read_kept(self, id, version, hash):
        try:
            row = self.checked_row(
                self.tables["history"].get(id + u64(version)), hash, OBJECT_HISTORY
            )
        except Fault as fault:
            stage = "history" if fault.stage == "row" else fault.stage
            raise Fault(stage, f"a kept version: {fault}") from None
        demand(row.version == version, "history", "a kept row has another version than its key")
        demand(not row.kept, "history", "a kept row lists kept rows")
        return self.read_record(id, row)

    def checked_row(self, row_bytes, hash, table_mark):
        demand(row_bytes is not None, "row", "a row is missing")
        demand(
            hmac.compare_digest(H(row_bytes), hash), "row", "a row is not the one that belongs here"
        )
        row = Row(row_bytes)
        demand(row.object == table_mark, "row", "a row is of another table")
        demand(row.key_epoch == self.head.key_epoch, "row", "a row is of another key epoch")
        return row

    def read_record(self, id, row):
        plaintext = open_box(self.keys["data"], row.binding(self.head.vault_id, id), row.box)
        record, _ = decode_record(unpad(plaintext))
        check_content(record, self.keys, id)
        if record["name"] == LEDGER_NAME:
            record["ledger"], _ = decode_ledger(unpad(record.pop("bytes")))
        record["version"] = row.version
        record["seq"] = row.seq
        return record

    def read_everything(self):
        """Every entry in the order of the ids; no row of any table is left unchecked.

        Beyond what opening demands this opens the signing seed and refuses rows that nothing
        vouches for.
        """
        seed = self.keyring.signing_seed(self.keys)
        public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
        demand(public == self.keyring.public_key, "content", "the signing seed is of another key")

        known = {table: set() for table in TABLES}
        known["head"] = known["keyring"] = {SINGLE}
        entries = []
        leaves = walk(self.tables["node"], [], self.head.count, self.head.root, known["node"])
        for id, seq, hash in leaves:
            entry = self.read_found(id, seq, hash)
            entries.append(entry)
            known["entry"].add(id)
            known["history"].update(id + u64(kept["version"]) for kept in entry["kept"])
        for table in TABLES:
            stray = self.tables[table].keys() - known[table]
            demand(not stray, "stray", f"table {table} has a row that nothing vouches for")
        self.check_owners(entries)
        return entries

    def check_owners(self, entries):
        ledgers = [entry["ledger"] for entry in entries if entry["name"] == LEDGER_NAME]
        demand(len(ledgers) == 1, "row", "the vault's own record is missing")
        owners = sorted(owner["slot id"] for owner in ledgers[0]["owners"])
        slots = sorted(slot.id for slot in self.keyring.slots)
        demand(owners == slots, "content", "owners and slots are not the same")
        for owner in ledgers[0]["owners"]:
            recipient = owner["recipient"]
            demand(
                recipient is None or len(recipient) == RECIPIENT_LENGTH,
                "content",
                "a recipient has the wrong length",
            )


def check_memory(head, expected):
    demand(head.epoch >= expected.min_epoch, "rolled-back", "the vault is older than asked for")
    memory = expected.memory
    if memory is None:
        return
    demand(head.incarnation == memory["incarnation"], "restored", "another incarnation")
    demand(head.epoch >= memory["epoch"], "rolled-back", "the vault is older than remembered")
    demand(head.key_epoch >= memory["key_epoch"], "rolled-back", "its key is older than remembered")
    demand(
        head.epoch > memory["epoch"] or head.root == memory["root"],
        "forked",
        "the remembered epoch had another root",
    )


# Section 10: identities


IDENTITY_PREFIX = "AGE-SECRET-KEY-PQ-"
PROTECTED_PREFIX = "BULLA-PROTECTED-IDENTITY-"
PIN_LINE = "# bulla-pin:"
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32_decode(text, prefix):
    """The bytes of a Bech32 text in upper case with this prefix (BIP 173, of any length)."""
    demand(text.startswith(prefix + "1"), "identity", "not an identity that is known here")
    demand(text == text.upper(), "identity", "an identity is in upper case")
    try:
        values = [BECH32.index(char) for char in text[len(prefix) + 1 :].lower()]
    except ValueError:
        raise Fault("identity", "an identity has a character that none can have") from None
    hrp = [ord(char) for char in prefix.lower()]
    check = 1
    for value in [c >> 5 for c in hrp] + [0] + [c & 31 for c in hrp] + values:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(
            (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
        ):
            check ^= generator if top >> bit & 1 else 0
    demand(check == 1 and len(values) >= 6, "identity", "an identity's checksum is wrong")
    bits = "".join(f"{value:05b}" for value in values[:-6])
    whole = len(bits) // 8 * 8
    demand(
        len(bits) - whole < 5 and "1" not in bits[whole:], "identity", "an identity's end is wrong"
    )
    return bytes(int(bits[at : at + 8], 2) for at in range(0, whole, 8))


def parse_identity(text, passphrases):
    if not text.startswith(PROTECTED_PREFIX):
        seed = bech32_decode(text, IDENTITY_PREFIX)
        demand(len(seed) == 32, "identity", "an identity has the wrong length")
        return Identity(seed)
    sealed = bech32_decode(text, PROTECTED_PREFIX)
    demand(len(sealed) == 124, "identity", "a protected identity has the wrong length")
    return Identity(open_protected(sealed, passphrases))


def open_protected(sealed, passphrases):
    cost, salt, stated, wrapped = sealed[:12], sealed[12:44], sealed[44:76], sealed[76:]
    m, t, p = struct.unpack("<III", cost)
    check_kdf(m, t, p)
    binding = LP("protected identity", SUITE_BYTES, cost, salt)
    for passphrase in passphrases:
        if not 1 <= len(passphrase) <= PASSPHRASE_LIMIT:
            continue
        slot_key = Argon2id(passphrase, salt, m, t, p)
        key, commitment = key_and_commitment(slot_key, "bulla/1 slot", binding)
        if hmac.compare_digest(stated, commitment):
            seed = open_gcm(key, binding, wrapped)
            if seed is not None:
                return seed
    raise Fault("locked", "the protected identity does not open")


def read_identity_file(path, passphrases):
    """The identities of a file, and the pin that it states or None."""
    identities, pin = [], None
    for line in Path(path).read_text("utf-8", errors="replace").splitlines():
        if line.startswith(PIN_LINE):
            pin = parse_pin(line[len(PIN_LINE) :].strip())
        elif line and not line.startswith("#"):
            identities.append(parse_identity(line, passphrases))
    return identities, pin


def parse_pin(text):
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise SystemExit("reader.py: a pin has 64 hexadecimal digits")
    return bytes.fromhex(text)


# Section 12: rows in SQLite


def read_sqlite(path):
    """All rows of a vault file, from one snapshot.

    A file without a log beside it is at rest and opened as immutable, because SQLite would
    otherwise leave a log and its index there even when it only reads.
    """
    mode = "mode=ro" if os.path.exists(f"{path}-wal") else "immutable=1"
    uri = f"file:{urllib.parse.quote(os.path.abspath(path))}?{mode}"
    tables = {}
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("BEGIN")
        for table in TABLES:
            rows = connection.execute(f"SELECT k, v FROM {table}").fetchall()
            blobs = all(type(cell) is bytes for row in rows for cell in row)
            demand(blobs, "damaged", "the file has a cell that is no blob")
            tables[table] = dict(rows)
            demand(len(tables[table]) == len(rows), "damaged", "two rows have one key")
        connection.close()
    except sqlite3.DatabaseError as error:
        raise Fault("damaged", f"not a vault file: {error}") from None
    return tables


# Test vectors: their form stands in tests/vectors/README.md


CONTENT_LINES = ("entry", "version", "field", "token")


class Vector:
    """The lines of a vector, in order, as pairs of key and value."""

    def __init__(self, path):
        lines = Path(path).read_text("ascii").splitlines()
        self.lines = [tuple(line.split(": ", 1)) for line in lines]

    def all(self, *keys):
        return [line for line in self.lines if line[0] in keys]

    def one(self, key):
        """The value of a line that may be missing: then it is None."""
        return dict(self.lines).get(key)

    def tables(self):
        tables = {table: {} for table in TABLES}
        for _, row in self.all("row"):
            table, key, value = row.split(" ")
            tables[table][bytes.fromhex(key)] = bytes.fromhex(value)
        return tables

    def expectation(self, by_identity):
        """A remembered pin counts only for somebody who opens by identity."""
        pin = parse_pin(self.one("pin")) if self.one("pin") else None
        memory = parse_memory(self.one("remember")) if self.one("remember") else None
        if pin is None and memory is not None and by_identity:
            pin = memory["pin"]
        return Expectation(pin, int(self.one("min-epoch") or 0), memory)

    def ways_in(self):
        """Each way to open the vault: a passphrase or None, and the text of an identity or None.

        The passphrase is the vault's own, or that of a protected identity.
        """
        words = [parse_text(value) for _, value in self.all("identity-passphrase")]
        for key, value in self.all("passphrase", "identity", "protected-identity"):
            if key == "passphrase":
                yield parse_text(value), None
            elif key == "identity":
                yield None, value
            else:
                yield words.pop(0), value


def run_vectors(arguments):
    passed, failed, skipped = 0, 0, 0
    for path in sorted(Path(arguments.directory).glob("*.vector")):
        problems = run_vector(Vector(path))
        if problems is None:
            skipped += 1
            continue
        for problem in problems:
            print(f"{path.name}: {problem}")
        passed, failed = passed + (not problems), failed + bool(problems)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


def run_vector(vector):
    """What came out otherwise than the vector says, or None if no way in could be tried."""
    problems, tried = [], False
    for passphrase, identity in vector.ways_in():
        try:
            stage, found = outcome(vector, passphrase, identity)
        except NotAvailable:
            continue
        tried = True
        if stage != vector.one("expect"):
            problems.append(f"expected {vector.one('expect')}, found {stage}: {found}")
        elif stage == "success" and found != vector.all(*CONTENT_LINES):
            problems.append("opened, but holds something else")
    return problems if tried else None


def outcome(vector, passphrase, identity):
    """`success` and the lines of content, or the stage that failed and why."""
    passphrases = [] if passphrase is None else [passphrase]
    try:
        identities = [] if identity is None else [parse_identity(identity, passphrases)]
        passphrases = [] if identities else passphrases
        expectation = vector.expectation(by_identity=bool(identities))
        vault = Vault(vector.tables(), passphrases, identities, expectation)
        if vector.one("read") is None:
            entries = vault.read_everything()
        else:
            id = entry_id(vault.keys, parse_text(vector.one("read")).decode("utf-8"))
            entries = [entry for entry in [vault.read(id)] if entry is not None]
    except Fault as fault:
        return fault.stage, fault
    entries = [entry for entry in entries if entry["body"] != "system"]
    entries.sort(key=lambda entry: entry["name"].encode("utf-8"))
    return "success", [line for entry in entries for line in content_lines(entry)]


def content_lines(entry):
    yield "entry", write_text(entry["name"])
    for record in [entry, *reversed(entry["kept"])]:
        state = "removed"
        if record["body"] == "live":
            state = f"kind={record['kind']}"
        elif record["moved to"] is not None:
            state = f"removed moved-to={write_text(record['moved to'])}"
        yield "version", (
            f"{record['version']} seq={record['seq']} time={record['time']}"
            f" author={record['author'].hex()} reason={write_text(record['reason'])} {state}"
        )
        for field in record.get("fields", ()):
            public = " public" if field["public"] else ""
            expires = "" if field["expires"] is None else f" expires={field['expires']}"
            name, value = write_text(field["name"]), field["value"].hex()
            yield "field", f"{name} value={value}{public}{expires}"
        token = record.get("token state")
        if token is not None:
            yield "token", f"schema={token['schema']} value={token['bytes'].hex()}"


def parse_text(text):
    return urllib.parse.unquote_to_bytes(text)


def write_text(text):
    return urllib.parse.quote(text, safe="-._~+@/")


def parse_memory(text):
    """The parts of a memory that decide something."""
    parts = text.split(" ")
    if len(parts) != 9 or parts[:2] != ["bulla-memory", "1"]:
        raise SystemExit("reader.py: a memory of a form that is not known")
    return {
        "incarnation": bytes.fromhex(parts[3]),
        "epoch": int(parts[4]),
        "root": bytes.fromhex(parts[5]),
        "key_epoch": int(parts[6]),
        "pin": bytes.fromhex(parts[7]),
    }


# Section 13: receipts


def check_receipt(vault, path):
    """Demands that a receipt is authentic and that its files, which have to be there, are as it says."""

    def unique(members):
        demand(len(dict(members)) == len(members), "receipt", "a member stands twice")
        return dict(members)

    receipt = json.loads(Path(path).read_bytes(), object_pairs_hook=unique)
    demand(receipt.get("bulla-receipt") == 1, "unsupported", "the receipt's form is not known here")
    mac = receipt.pop("mac")
    demand(receipt["vault"] == vault.head.vault_id.hex(), "receipt", "it is of another vault")
    demand(receipt["key-epoch"] == vault.head.key_epoch, "receipt", "it is of another vault key")

    def digest(label, data, *place):
        return HMAC(vault.keys["receipts"], LP(label, *place, H(data))).hex()

    signed = json.dumps(receipt, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    demand(mac == digest("receipt", signed.encode()), "receipt", "the MAC is wrong")
    for file in receipt["files"]:
        contents = Path(file["path"]).read_bytes()
        place = bytes.fromhex(file["nonce"]), file["path"].encode()
        right = digest("output", contents, *place)
        demand(len(place[0]) == 16, "receipt", "a nonce has 16 bytes")
        demand(file["digest"] == right, "receipt", f"{file['path']} differs")
    return receipt


# The worked example


def worked_example(path):
    """Prints every step from a passphrase to the fields of the one entry of a vector."""
    vector = Vector(path)
    passphrase = parse_text(vector.one("passphrase"))
    vault = Vault(vector.tables(), [passphrase])
    vault.read_everything()
    keyring, head, keys, slot = vault.keyring, vault.head, vault.keys, vault.slot
    binding = slot.binding(keyring)
    slot_key = Argon2id(passphrase, slot.salt, slot.m, slot.t, slot.p)
    key, commitment = key_and_commitment(slot_key, "bulla/1 slot", binding)

    section("The keyring record:")
    layout(keyring.record, keyring.notes)
    section(f"The slot, with m = {slot.m}, t = {slot.t}, p = {slot.p}:")
    values(
        ("passphrase", passphrase),
        ("slot key", slot_key),
        ("binding", binding),
        ("k", key),
        ("c", commitment),
        ("VK", vault.vk),
    )
    section("The working keys:")
    values(*keys.items())
    section("The signing seed:")
    binding = keyring.seed_binding()
    values(
        ("binding", binding),
        ("k, c", b"".join(box_keys(keys["seed"], binding, keyring.seed_box))),
        ("seed", keyring.signing_seed(keys)),
        ("pin", keyring.pin),
    )
    section("The head record:")
    layout(head.record, head.notes)

    ((node_at, node),) = vault.tables["node"].items()
    section(f"The one node, a bucket of two rows, lies under the key `{node_at.hex()}`:")
    cursor = Cursor(node, "node")
    for _ in range(head.count):
        cursor.take(16, "id")
        cursor.number(8, "seq")
        cursor.take(32, "H(row)")
    layout(node, cursor.notes)

    entries = sorted(
        vault.tables["entry"].items(), key=lambda row: name_of(vault, row) == LEDGER_NAME
    )
    for id, row in entries:
        explain_row(vault, id, row)


def name_of(vault, id_and_row):
    return vault.read(id_and_row[0])["name"]


def explain_row(vault, id, row_bytes):
    row = Row(row_bytes)
    binding = row.binding(vault.head.vault_id, id)
    plaintext = open_box(vault.keys["data"], binding, row.box)
    record, cursor = decode_record(unpad(plaintext))
    name = "`\\0slots`" if record["name"] == LEDGER_NAME else f"`{record['name']}`"
    section(f"The row of {name}:")
    layout(row_bytes, row.notes[:-1] + box_notes(row))
    section("Its box:")
    one_time, commitment = box_keys(vault.keys["data"], binding, row.box)
    values(("id", id), ("binding", binding), ("k", one_time), ("c", commitment))
    zeros = len(plaintext) - 4 - len(cursor.data)
    section(f"Its plaintext, of which the last {zeros} bytes are zeros:")
    notes = [(0, 4, f"length of the record: {len(cursor.data)}")]
    notes += [(start + 4, end + 4, what) for start, end, what in cursor.notes]
    if record["body"] != "system":
        layout(plaintext, notes)
        return
    layout(plaintext, [note for note in notes if note[2] != "bytes of the ledger"])
    ledger = unpad(record["bytes"])
    _, inner = decode_ledger(ledger)
    section(f"The bytes of the ledger begin with `{record['bytes'][:4].hex()}` and these:")
    layout(ledger, inner.notes)


def box_keys(key, binding, box):
    return key_and_commitment(key, "bulla/1 seal", binding, box[:32])


def box_notes(row):
    at, end = row.notes[-1][:2]
    return [
        (at, at + 32, "salt"),
        (at + 32, at + 64, "commitment c"),
        (at + 64, end - 16, "ciphertext"),
        (end - 16, end, "tag"),
    ]


def section(text):
    print(f"\n{text}\n")


def values(*pairs):
    """Names and their bytes in hexadecimal, 32 a line."""
    for name, value in pairs:
        for at in range(0, len(value), 32):
            print(f"    {name if at == 0 else '':<11}{value[at : at + 32].hex()}")


def layout(data, notes):
    """Fields with their offsets, 32 bytes a line. The text stands above long fields."""
    for start, end, what in notes:
        if start == end:
            continue
        value = data[start:end].hex()
        if end - start <= 16:
            print(f"    {start:4}  {value:<34}{what}".rstrip())
        else:
            print(f"    {start:4}  {what}")
            for at in range(0, len(value), 64):
                print(f"          {value[at : at + 64]}")


# The command line


EXIT_OF_STAGE = {"identity": 3, "locked": 3, "unknown-pin": 3}
EXIT_TAMPERED = 5


def run_vault(arguments):
    passphrases, identities, pin = [], [], None
    if arguments.passphrase_file:
        # An editor ends a file with a line feed; a passphrase that ends with one needs two.
        typed = Path(arguments.passphrase_file).read_bytes()
        passphrases.append(typed[:-1] if typed.endswith(b"\n") else typed)
    if arguments.identity:
        identities, pin = read_identity_file(arguments.identity, passphrases)
    if arguments.pin:
        pin = parse_pin(arguments.pin)
    vault = Vault(read_sqlite(arguments.path), passphrases, identities, Expectation(pin))
    entries = vault.read_everything()
    if arguments.receipt:
        check_receipt(vault, arguments.receipt)
    if arguments.json:
        print(json.dumps(listing(vault, entries), indent=2))
    else:
        rows = sum(len(table) for table in vault.tables.values())
        kept = sum(len(entry["kept"]) for entry in entries)
        names = sum(entry["body"] != "system" for entry in entries)
        print(f"pin {vault.keyring.pin.hex()}")
        print(f"epoch {vault.head.epoch}, key epoch {vault.head.key_epoch}")
        print(f"{rows} rows verified: {names} names, {kept} kept versions")
    return 0


def listing(vault, entries):
    """What a vault holds, secrets included. Bytes are in hexadecimal."""
    ledger = next(entry["ledger"] for entry in entries if entry["name"] == LEDGER_NAME)
    named = sorted(
        (entry for entry in entries if entry["body"] != "system"), key=lambda e: e["name"]
    )
    return {
        "vault id": vault.head.vault_id.hex(),
        "pin": vault.keyring.pin.hex(),
        "incarnation": vault.head.incarnation.hex(),
        "epoch": vault.head.epoch,
        "key epoch": vault.head.key_epoch,
        "slots": [{"sort": slot.sort, "slot id": slot.id.hex()} for slot in vault.keyring.slots],
        "ledger": printable(ledger),
        "entries": [printable(entry) for entry in named],
    }


def printable(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: printable(part) for key, part in value.items()}
    return [printable(part) for part in value] if isinstance(value, list) else value


def run_example(arguments):
    worked_example(arguments.vector)
    return 0


def parse_arguments():
    parser = argparse.ArgumentParser(prog="reader.py", description="Reads bulla vaults, format 1.")
    commands = parser.add_subparsers(required=True)
    vault = commands.add_parser("vault", help="verify a vault file and list it")
    vault.add_argument("path")
    vault.add_argument("--passphrase-file", help="its bytes, but for one line feed at the end")
    vault.add_argument("--identity", help="an identity file")
    vault.add_argument("--pin", help="64 hexadecimal digits; comes before one in the identity file")
    vault.add_argument("--json", action="store_true", help="list everything, secrets included")
    vault.add_argument("--receipt", help="verify this receipt and its files, too")
    vault.set_defaults(run=run_vault)
    vectors = commands.add_parser("vectors", help="run a directory of test vectors")
    vectors.add_argument("directory")
    vectors.set_defaults(run=run_vectors)
    example = commands.add_parser("example", help="print the worked example of docs/format.md")
    example.add_argument("vector")
    example.set_defaults(run=run_example)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    try:
        return arguments.run(arguments)
    except Fault as fault:
        print(f"reader.py: {fault.stage}: {fault}", file=sys.stderr)
        return EXIT_OF_STAGE.get(fault.stage, EXIT_TAMPERED)
    except (NotAvailable, OSError) as error:
        print(f"reader.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
