"""The market file: its text becomes a document, its document a market, and two markets a list of changes.

`source.parse` reads YAML into a plain document that JSON keeps as it is; `reader.read` makes a market of it, or names
everything that is wrong at once (`reader.load` does both); `secrets` knows where `${env:NAME}` is written and what it
stands for; `difference.compare` says what a new market changes. Nothing here reads a file or the environment.
"""
