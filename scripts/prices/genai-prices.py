"""Prints the data of a genai-prices wheel (argument: its data.py) as JSON, without importing the package and what it needs."""

import datetime
import decimal
import json
import sys
import types


def constructor(name):
    return lambda *positional, **named: {"_": name, **named, **({"args": positional} if positional else {})}


class Names(dict):
    def __missing__(self, name):
        return constructor(name)


def plain(value):
    return float(value) if isinstance(value, decimal.Decimal) else str(value)


stub = types.ModuleType("types_of_the_package")
source = open(sys.argv[1], encoding="utf-8").read().replace("from .types import *", "")
names = Names(datetime=datetime, Decimal=decimal.Decimal)
tree = compile(source.replace("providers: list[Provider] =", "providers ="), sys.argv[1], "exec")
exec(tree, names)
json.dump(names["providers"], sys.stdout, default=plain)
