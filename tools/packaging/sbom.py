#!/usr/bin/env python3
"""The software bill of materials of the programs, as SPDX 2.3 JSON: what they link, and the headers compiled in.

    sbom.py VERSION FOLDER_OF_PROGRAMS OUTPUT

Every shared library that ldd names is looked up in dpkg; packages of which only headers are used stand in
HEADERS_ONLY. Where SOURCE_DATE_EPOCH is set it is the time of creation, else the time of the newest program.
"""

import datetime
import hashlib
import json
import os
import re
import subprocess
import sys

HEADERS_ONLY = ["nlohmann-json3-dev", "libcpp-httplib-dev"]


def lines(*command):
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    return process.stdout.splitlines()


def libraries(programs):
    """Real paths of all shared libraries behind the programs."""
    paths = set()
    for program in programs:
        for line in lines("ldd", program):
            match = re.search(r"=> (/\S+)", line)
            if match:
                paths.add(os.path.realpath(match.group(1)))
    return sorted(paths)


def owners(paths):
    """Names of the Debian packages that the files belong to."""
    names = set()
    for path in paths:
        # dpkg knows files of /lib by their path before the merge with /usr.
        for spelling in (path, re.sub("^/usr", "", path)):
            found = lines("dpkg-query", "-S", spelling)
            if found:
                names.add(found[0].split(":")[0])
                break
    return names


def package(name, version, supplier, **others):
    return {"name": name, "SPDXID": "SPDXRef-" + re.sub("[^A-Za-z0-9.-]", "-", name), "versionInfo": version,
            "supplier": supplier, "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
            "licenseConcluded": "NOASSERTION", "copyrightText": "NOASSERTION", **others}


def main():
    version, folder, output = sys.argv[1:]
    programs = sorted(os.path.join(folder, name) for name in os.listdir(folder))
    newest = max(os.path.getmtime(program) for program in programs)
    created = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", newest)), datetime.timezone.utc)
    packages = [package("slim", version, "Organization: slim", licenseDeclared="Apache-2.0")]
    for name in sorted(owners(libraries(programs)) | set(HEADERS_ONLY)):
        found = lines("dpkg-query", "-W", "-f", "${Version}", name)
        if found:
            packages.append(package(name, found[0], "Organization: Debian", licenseDeclared="NOASSERTION", externalRefs=[
                {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                 "referenceLocator": f"pkg:deb/debian/{name}@{found[0]}"}]))
    digest = hashlib.sha256(json.dumps(packages, sort_keys=True).encode()).hexdigest()
    document = {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"slim-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/slim-{version}-{digest[:32]}",
        "creationInfo": {"created": created.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": ["Tool: slim-sbom"]},
        "packages": packages,
        "relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", "relatedSpdxElement": "SPDXRef-slim", "relationshipType": "DESCRIBES"}]
        + [{"spdxElementId": "SPDXRef-slim", "relatedSpdxElement": other["SPDXID"], "relationshipType": "DEPENDS_ON"}
           for other in packages[1:]],
    }
    with open(output, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    main()
