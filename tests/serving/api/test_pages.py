import re

from fastapi.testclient import TestClient


def test_pages_without_data_need_no_key(anonymous: TestClient) -> None:
    assert anonymous.get("/healthz").json() == {"status": "ok"}
    assert 'href="docs"' in anonymous.get("/").text
    page = anonymous.get("/docs").text
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(assets) >= 3 and not [
        asset for asset in assets if "//" in asset
    ]  # nothing from elsewhere
    assert all(anonymous.get(asset).status_code == 200 for asset in assets)
    assert "/openapi.json" in page
