"""One script a rule: it reads inputs, calls the library, writes outputs."""
