"""Methods that misbehave, each in its own way; run as processes by test_runner."""

import os
import time

import numpy as np

from jaxplace.baselines import baseline_assignments
from jaxplace.compare.answer import Answer, NotApplicable
from jaxplace.placement import Assignment, Duals


def honest(task):
    return Answer(plan=baseline_assignments(task.instance)["greedy"])


def crash(task):
    raise RuntimeError("boom")


def die(task):
    os._exit(7)


def hang(task):
    time.sleep(600)


def swallow(task):
    held = []
    while True:
        held.append(np.ones(20_000_000))


def refuse(task):
    raise NotApplicable("not for me")


def overload(task):
    """Everything at region 0."""
    n = task.instance.rows
    return Answer(plan=Assignment(np.arange(n), np.zeros(n, np.int32), task.instance.count))


def forget(task):
    """Only the first row."""
    return Answer(plan=Assignment(np.array([0]), np.array([0], np.int32), np.array([1])))


def boast(task):
    """A bound above every plan."""
    return Answer(plan=honest(task).plan, claimed_bound_usd=1e9)


def understate(task):
    """A price that is not its plan's."""
    return Answer(plan=honest(task).plan, claimed_usd=-1.0)


def negative_duals(task):
    duals = Duals(np.full(task.instance.capacity.shape, -1.0))
    return Answer(plan=honest(task).plan, duals=duals)


def unreadable(task):
    """A plan that is none."""
    return Answer(plan=Assignment(np.array([0.5]), np.array([0]), np.array([1])))
