#!/usr/bin/env python3
"""Makes table.tsv of mime-db: make.py PACKAGE.tgz > table.tsv

PACKAGE.tgz is what `npm pack mime-db` gives. A line is an extension and the types that have it,
the one that is sent first; each with where it comes from (`iana` is IANA's registry) and whether
it compresses (`yes`, `no`, or `-` where mime-db does not say).
"""

import json
import sys
import tarfile

# Which of several types of one extension comes first, as the package mime-types has it: one
# whose name has no prefix, then one of IANA's, then by the kind of content.
PREFIXES = {"prs.": 100, "x-": 200, "x.": 300, "vnd.": 400}
SOURCES = {"nginx": 10, "apache": 20, "mime-db": 30, "iana": 40}
KINDS = {"application": 1, "font": 2, "audio": 2, "video": 3}


def rank(name, source):
    if name == "application/octet-stream":
        return 0
    kind, subtype = name.split("/")
    prefix = next((p for p in PREFIXES if subtype.startswith(p)), None)
    return PREFIXES.get(prefix, 900) + SOURCES[source] + KINDS.get(kind, 0) + 1 - len(name) / 100


def main():
    with tarfile.open(sys.argv[1]) as package:
        read = lambda name: package.extractfile("package/" + name).read().decode()
        types, about, licence = json.loads(read("db.json")), json.loads(read("package.json")), read("LICENSE")
    found = {}
    for name, facts in types.items():
        source = facts.get("source", "mime-db")
        compresses = {True: "yes", False: "no"}.get(facts.get("compressible"), "-")
        for extension in facts.get("extensions", []):
            found.setdefault(extension, []).append((rank(name, source), name, source, compresses))
    print(f"# Media types by extension, made by make.py of mime-db {about['version']}")
    print("# (https://github.com/jshttp/mime-db), which has this licence:\n#")
    for line in licence.strip().splitlines():
        print(f"# {line}".rstrip())
    for extension, candidates in sorted(found.items()):
        candidates.sort(key=lambda one: -one[0])
        print(extension, *("\t".join(one[1:]) for one in candidates), sep="\t")


main()
