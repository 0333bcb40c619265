"""C2-Syn at scale: from seeds to a data set, one stage a module."""
