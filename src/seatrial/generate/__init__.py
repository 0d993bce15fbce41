"""Pure: what to do next. Arrivals, mixes, fault schedules, all from a seed."""
