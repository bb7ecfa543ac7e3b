"""The study: does steering do what its vectors were made for?"""
