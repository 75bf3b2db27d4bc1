"""What a browser or a program reads over HTTP: ``app`` joins it, ``api`` answers, ``live`` tells what is new."""
