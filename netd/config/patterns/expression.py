"""The grammar of what is between braces, compiled into functions. No `eval`; length, depth and numbers are limited.

pattern    := [NAME "="] sum ".." sum [":" WIDTH]  |  comparison [":" WIDTH]
comparison := sum [("==" | "!=" | "<" | "<=" | ">" | ">=") sum]
sum        := product (("+" | "-") product)*
product    := unary (("*" | "/" | "%") unary)*
unary      := "-"* (INTEGER | 'STRING' | NAME | NAME "(" comparison ("," comparison)* ")" | "(" comparison ")")
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from netd.config.diagnostics.explain import meant

from .values import FUNCTIONS, Environment, Evaluate, Function, PatternError, Value, limited, number

#: Characters of one expression, and parentheses within each other.
LONGEST, DEEPEST = 500, 30
#: The most digits that a width fills up to.
WIDEST = 64
TOKEN = re.compile(
    r"\s*(?:(?P<integer>[0-9]+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<string>'[^']*'|\"[^\"]*\")"
    r"|(?P<sign>==|!=|<=|>=|\.\.|[-+*/%()<>,=:}]))"
)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
COMPARISONS: Mapping[str, Callable[[Value, Value], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
#: What to write for a brace that begins no pattern.
LITERAL = "for a brace write '{{'"


class Token(NamedTuple):
    """One word: "integer", "name", "string", "sign", or "end"; and where it ends in the text."""

    kind: str
    text: str
    end: int


class Expression(NamedTuple):
    """What `{...}` is. A range has ``last``, and the ``name`` of its variable; ``width`` 0: not filled up."""

    text: str
    first: Evaluate
    last: Evaluate | None
    name: str
    width: int
    end: int


class Parser:
    """Reads one expression from just behind its brace. PatternError says what is wrong."""

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._start = self._at = start
        self._depth = 0
        self._token = self._next()

    def pattern(self) -> Expression:
        """The expression, up to and with its closing brace."""
        name = ""
        if self._token.kind == "name" and self._is_named():
            name = self._take().text
            self._take()
        first, last = self._comparison(), None
        if self._token.text == "..":
            self._take()
            last = self._sum()
        elif name:
            raise self._wrong(f"a name belongs to a range: {{{name}=1..4}}")
        width = self._width() if self._token.text == ":" else 0
        if self._token.text != "}":
            if self._token.kind == "end":
                raise PatternError(f"'{{' is not closed: {LITERAL}")
            raise self._wrong(f"'{self._token.text}' is unexpected here")
        return Expression(
            self._text[self._start - 1 : self._token.end], first, last, name or "n", width, self._token.end
        )

    def _is_named(self) -> bool:
        """Whether a name with one "=" comes; "==" is a comparison."""
        found = TOKEN.match(self._text, self._token.end)
        return found is not None and found["sign"] == "="

    def _wrong(self, text: str) -> PatternError:
        return PatternError(f"'{{{self._text[self._start : self._start + 40]}': {text} ({LITERAL})")

    def _next(self) -> Token:
        if self._at - self._start > LONGEST:
            raise PatternError(f"an expression has more than {LONGEST} characters")
        found = TOKEN.match(self._text, self._at)
        if found is None:
            rest = self._text[self._at :].strip()
            if not rest:
                return Token("end", "", len(self._text))
            if rest[0] in "'\"":
                raise self._wrong("a quote is not closed")
            raise self._wrong(f"'{rest[0]}' is unexpected here")
        self._at = found.end()
        kind = found.lastgroup
        assert kind is not None
        return Token(kind, found[kind], self._at)

    def _take(self) -> Token:
        token, self._token = self._token, self._next() if self._token.text != "}" else self._token
        return token

    def _comparison(self) -> Evaluate:
        left = self._sum()
        if self._token.text not in COMPARISONS:
            return left
        sign = self._take().text
        right = self._sum()
        if self._token.text in COMPARISONS:
            raise self._wrong("compare two values only")
        return comparison(sign, left, right)

    def _sum(self) -> Evaluate:
        left = self._product()
        while self._token.text in ("+", "-"):
            left = arithmetic(self._take().text, left, self._product())
        return left

    def _product(self) -> Evaluate:
        left = self._unary()
        while self._token.text in ("*", "/", "%"):
            left = arithmetic(self._take().text, left, self._unary())
        return left

    def _unary(self) -> Evaluate:
        negative = False
        while self._token.text == "-":
            self._take()
            negative = not negative
        value = self._operand()
        return (lambda values: -number(value(values), "what follows '-'")) if negative else value

    def _operand(self) -> Evaluate:
        token = self._token
        if token.kind == "end":
            raise PatternError(f"'{{' is not closed: {LITERAL}")
        if token.text == "(":
            return self._inside()
        if token.kind not in ("integer", "name", "string"):
            raise self._wrong("a number, a variable or a function is missing")
        self._take()
        if token.kind == "integer":
            return self._integer(token.text)
        if token.kind == "string":
            return constant(token.text[1:-1])
        function = FUNCTIONS.get(token.text)
        if self._token.text != "(":
            return variable(token.text)
        if function is None:
            raise self._wrong(f"there is no function '{token.text}'{meant(token.text, FUNCTIONS)}")
        return self._call(token.text, function)

    def _integer(self, text: str) -> Evaluate:
        if len(text) > 1 and text[0] == "0":
            raise self._wrong(
                f"write {int(text[:WIDEST])} (a width fills up with zeros: {{n:0{min(len(text), WIDEST)}}})"
            )
        if len(text) > len(str(1 << 128)):
            raise PatternError("the number is too large: at most 2^128")
        return constant(limited(int(text)))

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise PatternError(f"an expression has more than {DEEPEST} parentheses within each other")
        self._take()

    def _inside(self) -> Evaluate:
        self._deeper()
        found = self._comparison()
        self._close()
        return found

    def _close(self) -> None:
        if self._token.text != ")":
            raise self._wrong("')' is missing")
        self._take()
        self._depth -= 1

    def _call(self, name: str, function: Function) -> Evaluate:
        self._deeper()
        values = [self._comparison()]
        while self._token.text == ",":
            self._take()
            values.append(self._comparison())
        self._close()
        if len(values) != len(function.arguments):
            raise self._wrong(f"write {name}({', '.join(function.arguments)})")
        return called(function, values)

    def _width(self) -> int:
        found = re.compile(r"\s*(0?[1-9][0-9]?)\s*(?=})").match(self._text, self._at)
        if found is None or int(found[1]) > WIDEST:
            raise self._wrong(f"a width is a number of digits up to {WIDEST}, such as {{n:03}}")
        self._at = found.end()
        self._token = self._next()
        return int(found[1])


def constant(value: Value) -> Evaluate:
    """Always this value."""
    return lambda values: value


def variable(name: str) -> Evaluate:
    """The value of a variable."""

    def evaluate(values: Environment) -> Value:
        try:
            return values[name]
        except KeyError:
            known = f" (there are: {', '.join(sorted(values))})" if values else ""
            raise PatternError(f"there is no variable '{name}'{meant(name, values) or known}") from None

    return evaluate


def arithmetic(sign: str, left: Evaluate, right: Evaluate) -> Evaluate:
    """Whole numbers; a division rounds down."""
    operation: Callable[[int, int], int] = {
        "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.floordiv, "%": operator.mod,
    }[sign]  # fmt: skip

    def evaluate(values: Environment) -> Value:
        one, other = left(values), right(values)
        if isinstance(one, str) or isinstance(other, str):
            raise PatternError(f"'{sign}' needs numbers, not '{one if isinstance(one, str) else other}'")
        if not other and sign in "/%":
            raise PatternError(f"{one} {sign} 0: division by zero")
        return limited(operation(one, other))

    return evaluate


def comparison(sign: str, left: Evaluate, right: Evaluate) -> Evaluate:
    """True or false; strings are only equal or not."""
    compare = COMPARISONS[sign]

    def evaluate(values: Environment) -> Value:
        one, other = left(values), right(values)
        if isinstance(one, str) != isinstance(other, str) or (isinstance(one, str) and sign not in ("==", "!=")):
            raise PatternError(f"'{one}' {sign} '{other}': only numbers can be compared so")
        return compare(one, other)

    return evaluate


def called(function: Function, values: list[Evaluate]) -> Evaluate:
    """A function's result. Two and three values without a list: this is where large patterns spend their time."""
    call = function.call
    if len(values) == 2:
        first, second = values
        return lambda env: call(first(env), second(env))
    return lambda env: call(*(value(env) for value in values))
