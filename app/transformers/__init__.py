"""Functions that change what passes between endpoint and bot; endpoints.yaml names them."""
