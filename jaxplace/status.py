"""Why the relaxation's loop stopped.  It says nothing about what is proven."""

import enum


class Status(enum.Enum):
    """Why the solve stopped; the value says what it means and what to change."""

    converged = "The certified gap asked for was reached"
    time_limit = "The time limit ended the solve: raise `time_limit_s` for a smaller gap"
    stalled = "Neither bound nor plan improved any more: the gap shown is what remains"
    step_limit = "The step limit ended the relaxation: raise `solver.max_steps`"
    over_budget = (
        "A fleet budget cannot be kept with every unit placed that could be: the notes say what "
        "the least would be"
    )
