"""Kura: keeps records sealed while they must exist, destroys them on their day, and proves both."""
