"""Functions that are timed, of each kind that Python has."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from . import _native

F = TypeVar("F", bound=Callable[..., Any])


def timed(field: _native.Timer | _native.Latency) -> Callable[[F], F]:
    """A decorator: `@mm.timed(web.latency)`.

    Of a coroutine function the time until its end is recorded, with what it awaits; of a generator the time from
    its first step to its end, with what its caller does between the steps.
    """

    def decorate(function: F) -> F:
        wrapper: Any
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                with field.time():
                    return await function(*args, **kwargs)

        elif inspect.isasyncgenfunction(function):

            @functools.wraps(function)
            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                with field.time():
                    generator = function(*args, **kwargs)
                    try:
                        item = await generator.asend(None)
                        while True:
                            try:
                                sent = yield item
                            except GeneratorExit:
                                raise
                            except BaseException as error:
                                # The function may catch what its caller throws in.
                                item = await generator.athrow(error)
                            else:
                                item = await generator.asend(sent)
                    except StopAsyncIteration:
                        return
                    finally:
                        await generator.aclose()

        elif inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with field.time():
                    return (yield from function(*args, **kwargs))

        else:

            @functools.wraps(function)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with field.time():
                    return function(*args, **kwargs)

        return wrapper  # type: ignore[no-any-return]

    return decorate
