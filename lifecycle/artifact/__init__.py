"""What is served: contents, files, answers, and what events moved an answer."""
