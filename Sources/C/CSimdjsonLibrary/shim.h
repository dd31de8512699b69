// simdjson is C++: only CSimdjson includes its header; this module carries the link flag.
