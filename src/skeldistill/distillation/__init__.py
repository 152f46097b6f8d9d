"""Distillation: a frozen teacher, a student, losses, and what the task has to say about them."""
