"""What training and serving must agree about; knows neither Ray nor HTTP."""
