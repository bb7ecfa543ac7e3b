"""The rooms behind the judge: text, words, verdicts, statements, and how sure one may be."""
