from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.ols.harness import Llm, Ols, open_ols, serving_llm


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "user-data"


@pytest.fixture
async def ols(root: Path) -> AsyncIterator[Ols]:
    """As in the local shape."""
    async with open_ols(root) as opened:
        yield opened


@pytest.fixture
async def llm() -> AsyncIterator[Llm]:
    async with serving_llm() as serving:
        yield serving


@pytest.fixture
async def asking(root: Path, llm: Llm) -> AsyncIterator[Ols]:
    """One that asks the LLM."""
    async with open_ols(
        root,
        OLS_LLM_URL=llm.url,
        OLS_LLM_MODEL="granite",
        OLS_LLM_API_KEY="planted-api-key",
        OLS_LLM_SECONDS="20",
    ) as opened:
        yield opened
