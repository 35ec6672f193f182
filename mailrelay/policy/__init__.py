"""Pure judgement: facts and the province's rules make one decision per recipient, with reasons. No I/O, no clock."""
