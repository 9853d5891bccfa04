"""The sequence encoder of task next_item: model, files, rankings."""
