"""What the commands print: data on stdout, everything else on stderr. Sends nothing."""
