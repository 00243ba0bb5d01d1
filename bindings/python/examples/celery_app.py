"""Celery: tasks by name and outcome, their duration, and what each worker does."""

from __future__ import annotations

import time
from typing import Any

import celery
from celery import signals

import mmstats as mm


class Tasks(mm.Stats, prefix="celery"):
    by_state: mm.Family[mm.Counter] = mm.counter("Tasks.", labels=("task", "state"), cap=200)
    duration: mm.Family[mm.Latency] = mm.latency("Duration.", labels="task", cap=100)
    doing: mm.Text = mm.text("The task of this worker.", size=120)


tasks = Tasks.start(private=True)
begun: dict[str, float] = {}


@signals.task_prerun.connect  # type: ignore[untyped-decorator]
def begin(task_id: str, task: Any, **_: Any) -> None:
    begun[task_id] = time.perf_counter()
    tasks.doing.set(task.name)


@signals.task_postrun.connect  # type: ignore[untyped-decorator]
def end(task_id: str, task: Any, state: str, **_: Any) -> None:
    tasks.by_state.labels(task.name, state).inc()
    tasks.duration.labels(task.name).observe(time.perf_counter() - begun.pop(task_id))
    tasks.doing.clear()


app = celery.Celery("shop")


@app.task  # type: ignore[untyped-decorator]
def add(a: int, b: int) -> int:
    return a + b
