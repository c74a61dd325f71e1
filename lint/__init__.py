"""What only developers run: `make lint` and `make types`."""

import warnings

# Connexion imports Starlette's test client, which nothing here uses.
warnings.filterwarnings("ignore", "Using .httpx. with .starlette.testclient.")
