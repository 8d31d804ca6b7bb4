"""``netd run`` that writes to /run/unread, for each request, the keys in it that nothing has read."""

from __future__ import annotations

import json
import sys
from typing import Any

from netd.cli.main import main
from netd.report import status


class Request(dict[str, Any]):
    """Remembers which keys were asked for."""

    def __init__(self, pairs: dict[str, Any]) -> None:
        super().__init__(pairs)
        self.unread = set(pairs)

    def get(self, key: Any, default: Any = None) -> Any:
        self.unread.discard(key)
        return super().get(key, default)


def watched() -> None:
    """Replaces how the socket reads a request, and notes what is unread when its answer is ready."""
    serve = status.StatusSocket._serve
    requests: list[Request] = []
    real = json.loads

    def loads(text: Any) -> Any:
        found = real(text)
        if isinstance(found, dict) and "verb" in found:
            found = Request(found)
            requests.append(found)
        return found

    async def _serve(self: Any, connection: Any) -> None:
        await serve(self, connection)
        with open("/run/unread", "a", encoding="utf-8") as file:
            file.write(" ".join(sorted(requests.pop().unread)) + "\n")

    json.loads = loads  # type: ignore[assignment]
    status.StatusSocket._serve = _serve  # type: ignore[method-assign]


if __name__ == "__main__":
    watched()
    sys.exit(main())
