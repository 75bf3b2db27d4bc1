"""The core: events in, facts out. No socket, clock or logger; time is an argument."""
