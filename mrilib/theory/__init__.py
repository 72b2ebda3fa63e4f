"""The theory of localized artifacts, by computation: what is recovered from which frequencies."""
