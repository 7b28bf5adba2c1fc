"""Reads texts (a JSON list) of Kubernetes objects in YAML from standard input, checks each object strictly against the schemas
of the versions of Kubernetes that are named as arguments, if any are, and prints a list of the lists of objects. What belongs
to Prometheus's operator is checked against models that were made from its CRDs: what they know comes out as it went in, what
they do not know is lost."""

import json
import sys

import kubernetes_validate
import yaml

OPERATOR = "monitoring.coreos.com/"
# The one in C, where there is one, takes a tenth of the time.
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def problem(item, version):
    try:
        kubernetes_validate.validate(item, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(map(str, error.path))}: {error.message}"
    return None


def problem_of_operators(item):
    # Takes seconds.
    from cloudcoil.models.prometheus_operator import v1

    try:
        model = getattr(v1, item["kind"]).model_validate(item)
    except ValueError as error:
        return str(error)
    known = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return None if known == item else f"not all of it is known; this is: {json.dumps(known)}"


def problems(item, versions):
    name = f"{item['kind']} {item['metadata']['name']}"
    if not item["apiVersion"].startswith(OPERATOR):
        found = {f"Kubernetes {version}": problem(item, version) for version in versions}
    elif versions:
        found = {"its operator": problem_of_operators(item)}
    else:
        found = {}
    return [f"{name}, by {judge}: {text}" for judge, text in found.items() if text]


def main(versions):
    texts = json.load(sys.stdin)
    lists = [[item for item in yaml.load_all(text, Loader) if item is not None] for text in texts]
    # Most objects are in most lists.
    different = {json.dumps(item, sort_keys=True): item for items in lists for item in items}
    found = [text for item in different.values() for text in problems(item, versions)]
    if found:
        sys.exit("\n".join(found))
    json.dump(lists, sys.stdout)


main(sys.argv[1:])
