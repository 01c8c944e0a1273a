"""The narrow API: where machines write. None of its routes gives out anything that was deposited."""
