#!/usr/bin/env python3
"""Checks a proof file of Cairn (C2SP tlog-proof@v1, or a key proof) with nothing but Python's
standard library.

usage: verify_proof.py VKEY PROOF... [--leaf FILE] [--payload FILE]

VKEY is what `cairn vkey` printed, from somebody you trust; PROOF what `cairn prove` wrote. It shares
no code with Cairn. Exit code 0: every proof holds; 1: at least one does not. docs/proofs.md explains.
"""
import base64
import hashlib
import struct
import sys


class Refused(Exception):
    pass


def need(condition, why):
    if not condition:
        raise Refused(why)


# --- Ed25519, RFC 8032 section 5.1 ------------------------------------------------------------
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def add(a, b):  # Points are (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z.
    A, B = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    C, E = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = B - A, E - C, E + C, B + A
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, point):
    total = (0, 1, 1, 0)
    while n:
        if n & 1:
            total = add(total, point)
        point, n = add(point, point), n >> 1
    return total


def point_of(data):
    number = int.from_bytes(data, "little")
    y, sign = number & (2**255 - 1), number >> 255
    need(y < P, "a point is not encoded canonically")
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    x = x if x * x % P == x2 else x * SQRT_M1 % P
    need(x * x % P == x2 and (x or not sign), "not a point of the curve")
    x = x if x & 1 == sign else P - x
    return x, y, 1, x * y % P


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed(key, message, signature):
    s = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    left, right = times(s, BASE), add(point_of(signature[:32]), times(k, point_of(key)))
    return all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1))


# --- the file ---------------------------------------------------------------------------------
def b64(text, length=None):
    data = base64.b64decode(text, validate=True)
    need(base64.b64encode(data).decode() == text, "base64 in another form")
    need(length is None or len(data) == length, "another length")
    return data


def number(text):
    need(text.isascii() and text.isdigit() and str(int(text)) == text, "a number in another form")
    return int(text)


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def root_of(index, size, node, path):  # RFC 9162 section 2.1.3.2
    need(index < size, "the tree has no such record")
    at, last = index, size - 1
    for sibling in path:
        need(last > 0, "too many hashes")
        if at & 1 or at == last:
            node = sha(b"\1", sibling, node)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            node = sha(b"\1", node, sibling)
        at, last = at >> 1, last >> 1
    need(last == 0, "too few hashes")
    return node


def verify(data, vkey, given_leaf=None, payload=None):
    name, key_id, encoded = vkey.split("+", 2)
    key = b64(encoded, 33)
    need(key[:1] == b"\1", "not an Ed25519 key")
    need(sha(name.encode(), b"\n", key)[:4].hex() == key_id, "the key's id is not its own")

    text = data.decode("utf-8")
    proof, checkpoint, signatures = text.split("\n\n")
    lines = proof.split("\n")
    need(lines.pop(0) == "c2sp.org/tlog-proof@v1", "another first line")
    leaf = b64(lines.pop(0)[6:]) if lines[0].startswith("extra ") else given_leaf
    need(leaf and given_leaf in (None, leaf), "no leaf, or another one than the one given")
    need(lines[0].startswith("index "), "no index")
    index = number(lines.pop(0)[6:])
    path = [b64(line, 32) for line in lines]

    need(not any(c < " " for c in checkpoint.replace("\n", "")), "control characters")
    origin, size, root = checkpoint.split("\n")[:3]
    need(origin == name, "a checkpoint of another log")
    need(root_of(index, number(size), sha(b"\0", leaf), path) == b64(root, 32), "another root")

    need(signatures.endswith("\n"), "the last line does not end")
    found = False
    for line in signatures[:-1].split("\n"):
        dash, signer, signature = line.split(" ")
        signature = b64(signature)
        need(dash == "\u2014" and signer and "+" not in signer, "not a signature")
        if signer == name and signature[:4].hex() == key_id:
            message = (checkpoint + "\n").encode()
            need(signed(key[1:], message, signature[4:]), "the signature is wrong")
            found = True
    need(found, "the key did not sign")

    # The leaf is the statement: docs/format.md, module `batch/statement.rs`.
    head = struct.unpack_from("<BBHIQqQ32sH", leaf)
    need(head[0] == 1, "another version of the statement")
    if payload is not None:
        need(head[6] == len(payload) and head[7] == sha(payload), "not the record's payload")
    return index, size, origin, head


# --- key proofs: cairn_merkle::map says what is hashed ----------------------------------------
def versions_root(low, high, first, leaves, hashes):  # As RFC 6962 divides a tree of `count` leaves.
    if high <= first or first + len(leaves) <= low:
        return hashes.pop(0)
    if high - low == 1:
        return sha(b"\0", leaves[low - first])
    middle = low + (1 << (high - low - 1).bit_length() - 1)
    left = versions_root(low, middle, first, leaves, hashes)
    return sha(b"\1", left, versions_root(middle, high, first, leaves, hashes))


def answer(question, head, count, first, leaves):
    found = [struct.unpack("<BBHIQQQQQ32s", leaf) for leaf in leaves]
    for at, (version, gone, zero, sub, main, created, number, lease, lsn, _) in enumerate(found):
        need(version == 1 and gone < 2 and zero == 0 and main > 0, "not a version")
        need((created, number, lease) == (0, 0, 0) if gone else 0 < number and 0 < created <= main,
             "a version that its generation cannot have")
        need(main <= head[2] and lsn < head[3], "a version that the head does not cover")
        before = found[at - 1] if at else None
        need(not at or (before[4], before[3]) < (main, sub) and before[8] < lsn, "out of order")
    if question == "history":
        need(first == 0 and len(found) == count, "versions are left out")
        return "versions " + ", ".join(f"{v[4]} {'deleted' if v[1] else v[9].hex()}" for v in found)
    last = head[2] if question == "newest" else number_after("at ", question)
    need(last <= head[2], "a revision that the head does not cover")
    until = [version for version in found if version[4] <= last]
    is_end = first + len(found) == count
    need(len(found) - len(until) == (0 if is_end and len(until) == len(found) else 1), "not about it")
    if not until:
        need(first == 0 and question != "newest", "not about the first version")
        return "absent: not yet written"
    need(len(until) == 1 and (question != "newest" or len(found) == 1), "more than was asked for")
    gone, main, payload_hash = until[0][1], until[0][4], until[0][9].hex()
    return f"absent: deleted at {main}" if gone else f"value of revision {main}, SHA-256 {payload_hash}"


def number_after(prefix, line):
    need(line.startswith(prefix), f"no line {prefix.strip()}")
    return number(line[len(prefix):])


def verify_key(data, vkey):
    about, record = data.decode("utf-8").split("\n\n", 1)
    title, space, key, question, head, proof = about.split("\n")
    need(title == "cairn/key-proof@v1", "another first line")
    fields = {"key ": key, "question ": question, "head ": head, "proof ": proof}
    need(all(line.startswith(name) for name, line in fields.items()), "a line is missing")
    key, head, proof, question = b64(key[4:]), b64(head[5:], 64), b64(proof[6:]), question[9:]
    index, _, _, leaf = verify(record.encode(), vkey, None, head)
    need(leaf[1] == 7, "the record states no map root")
    root, head = head[32:], struct.unpack("<B7sQQQ", head[:32])
    need(head[0] == 1 and head[1] == bytes(7) and head[3] <= index, "not a map head of its record")

    path = sha(b"CRNmpk1\0", struct.pack("<Q", number_after("keyspace ", space)), key)
    version, ending, depth = struct.unpack_from("<BBH", proof)
    need(version == 1 and ending < 3 and depth <= 256, "another form of proof")
    bits, rest = proof[4 : 4 + (depth + 7) // 8], proof[4 + (depth + 7) // 8 :]
    need(not int.from_bytes(bits, "little") >> depth, "spare bits")
    siblings = []
    for at in range(depth):
        is_set = bits[at // 8] >> at % 8 & 1
        siblings.append(rest[:32] if is_set else bytes(32))
        need(not is_set or len(rest) >= 32 and any(rest[:32]), "an empty sibling")
        rest = rest[32:] if is_set else rest
    need(not siblings or any(siblings[-1]), "an entry stands deeper than it must")
    node, shown = bytes(32), "absent: never written"
    if ending == 1:
        need(len(rest) == 72 and rest[:32] != path, "the other key is this one")
        differ = int.from_bytes(rest[:32], "big") ^ int.from_bytes(path, "big")
        need(256 - differ.bit_length() >= depth, "the other key stands elsewhere")
        node = sha(b"CRNmpe1\0", rest)
    elif ending == 2:
        count, first, version_count, hash_count = struct.unpack_from("<QQII", rest)
        rest = rest[24:]
        need(len(rest) == 80 * version_count + 32 * hash_count, "another length")
        need(0 < version_count and first + version_count <= count < 2**63, "not so many versions")
        leaves = [rest[80 * at : 80 * at + 80] for at in range(version_count)]
        hashes = [rest[at : at + 32] for at in range(80 * version_count, len(rest), 32)]
        over = versions_root(0, count, first, leaves, hashes)
        need(not hashes, "too many hashes")
        node = sha(b"CRNmpe1\0", path, struct.pack("<Q", count), over)
        shown = answer(question, head, count, first, leaves)
    else:
        need(not rest, "bytes follow")
    need(question in ("newest", "history") or number_after("at ", question) <= head[2], "the future")
    for at in reversed(range(depth)):
        sides = (siblings[at], node) if path[at // 8] >> 7 - at % 8 & 1 else (node, siblings[at])
        node = sha(b"CRNmpn1\0", *sides)
    need(node == root, "it does not lead to the head's root")
    return f"key {key!r} {question}, as of revision {head[2]}: {shown}"


def main(arguments):
    given = {"--leaf": None, "--payload": None}
    for option in given:
        if option in arguments:
            at = arguments.index(option)
            with open(arguments[at + 1], "rb") as file:
                given[option] = file.read()
            del arguments[at : at + 2]
    if len(arguments) < 2:
        sys.exit(__doc__)
    refused = 0
    for path in arguments[1:]:
        try:
            with open(path, "rb") as file:
                data = file.read()
            if data.startswith(b"cairn/key-proof@v1\n"):
                print(f"holds: {verify_key(data, arguments[0])}")
                continue
            shown = verify(data, arguments[0], given["--leaf"], given["--payload"])
            index, size, origin, head = shown
            print(f"holds: record {index} of the {size} that {origin} signed; kind {head[1]}, "
                  f"stream {head[3]}, sequence {head[4]}, payload SHA-256 {head[7].hex()}")
        except (Refused, ValueError, IndexError, struct.error) as error:
            refused += 1
            print(f"refused: {path}: {error}")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
