"""Search: what is indexed, how it is asked for, and the pages it gives.

A parameter is declared once (`definitions`); `extraction` and `indexing` write its rows. `query`
reads what is asked; `conditions`, `meeting` and `including` make SQL of it, under the caller's
Access; `run` gives the page.
"""
