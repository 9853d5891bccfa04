"""HTTP: routes, requests, responses, errors, access. Ray is not known here."""
