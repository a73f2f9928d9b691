"""The web page of `ds2f serve`: record or drop a voice, watch faces appear."""
