"""Networks to train; the config names them by import path, and no module of mrilib imports them."""
