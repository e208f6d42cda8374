"""The result table of a study: computed, printed, and written in the forms that others read."""
