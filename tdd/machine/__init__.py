"""Files, processes, schedules and progress: what knows nothing of videos or networks."""
