"""Holds the dashboard's queries against promtool, which reads them as rules: check.py grafana.json"""

import json
import subprocess
import sys
import tempfile


def queries(dashboard):
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (one["expr"] for one in dashboard["annotations"]["list"])


def main(path):
    with open(path) as file:
        all_of_them = list(queries(json.load(file)))
    # Grafana fills these in.
    filled = [query.replace("$__rate_interval", "5m").replace("$instance", ".*") for query in all_of_them]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(filled)]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        # JSON is YAML.
        json.dump({"groups": [{"name": "grafana", "rules": rules}]}, file)
        file.flush()
        subprocess.run(["promtool", "check", "rules", file.name], check=True)


if __name__ == "__main__":
    main(sys.argv[1])
