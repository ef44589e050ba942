class FakeSts:
    pass
