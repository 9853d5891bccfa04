"""Models of value on the same customers, who is champion, what joins the stack."""
