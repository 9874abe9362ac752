#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds recorded answers against openapi.json: check-answers.py OPENAPI FOLDER [PATHS].

FOLDER has N.line ("METHOD PATH STATUS"), N.headers and N.body. An answer fits when its status is one
that the operation names, or an error; when its type is the one named; and when its body validates
against the schema, in which nothing may be that is not named. Each operation whose path the regular
expression PATHS finds has answered as it is meant to at least once."""

import json
import pathlib
import re
import sys
from urllib.parse import urlsplit

import jsonschema

ERROR = "#/components/schemas/Error"


def find_operation(paths, method, path):
    for template, operations in paths.items():
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), path):
            return template, operations.get("get" if method == "HEAD" else method.lower())
    return None, None


class Checker:
    def __init__(self, openapi):
        self.openapi = openapi
        self.resolver = jsonschema.RefResolver("", openapi)
        self.used = set()
        self.findings = []

    def validate(self, where, schema, text):
        try:
            body = json.loads(text)
        except ValueError as error:
            self.findings.append(f"{where}: not JSON: {error}")
            return
        validator = jsonschema.Draft202012Validator(
            schema, resolver=self.resolver, format_checker=jsonschema.FormatChecker())
        for error in validator.iter_errors(body):
            self.findings.append(f"{where}: {error.json_path}: {error.message}")

    def check(self, method, path, status, headers, body):
        where = f"{method} {path} {status}"
        template, operation = find_operation(self.openapi["paths"], method, urlsplit(path).path)
        if operation and status in operation["responses"]:
            self.used.add((template, method))
            content = operation["responses"][status].get("content")
        elif int(status) >= 400:
            content = {"application/json": {"schema": {"$ref": ERROR}}}
        else:
            self.findings.append(f"{where}: no such answer is named")
            return
        kind = re.search(r"(?mi)^content-type: *([^;\r\n]+)", headers)
        if not content:
            if body:
                self.findings.append(f"{where}: has content")
        elif not kind or kind[1] not in content:
            self.findings.append(f"{where}: its type is {kind and kind[1]}")
        elif kind[1] == "application/json" and method != "HEAD":
            self.validate(where, content[kind[1]]["schema"], body)

    def check_used(self, paths):
        for path, operations in self.openapi["paths"].items():
            for method in operations:
                if (path, method.upper()) not in self.used and re.search(paths, path):
                    self.findings.append(f"{method.upper()} {path}: has never answered as named")


def main():
    checker = Checker(json.loads(pathlib.Path(sys.argv[1]).read_text()))
    count = 0
    for line in pathlib.Path(sys.argv[2]).glob("*.line"):
        method, path, status = line.read_text().rstrip("\n").split(" ")
        # libmicrohttpd refuses by itself what it cannot read, and 000 is no answer at all.
        if status in ("000", "431", "414"):
            continue
        count += 1
        checker.check(method, path, status, line.with_suffix(".headers").read_text(),
                      line.with_suffix(".body").read_text(errors="replace"))
    if len(sys.argv) > 3:
        checker.check_used(sys.argv[3])
    print(f"{count} answers")
    print("\n".join(sorted(set(checker.findings))))
    return 1 if checker.findings or not count else 0


sys.exit(main())
