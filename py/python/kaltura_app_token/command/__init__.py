"""The command `kaltura-app-token`. The library beside it does not know it."""
