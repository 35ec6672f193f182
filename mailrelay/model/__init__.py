"""The words of the house: frozen, slotted values and enums. Standard library only; no I/O, no clock, no randomness."""
