"""What is set for a process is put back by the last of the threads that use it."""

import threading
from contextlib import ExitStack

import torch
from threadpoolctl import threadpool_info, threadpool_limits

from skpopsteer._blas import one_blas_thread
from skpopsteer.adapters._torch import evaluating


def _blas_threads():
    return {
        library["num_threads"]
        for library in threadpool_info()
        if library["user_api"] == "blas"
    }


def test_blas_is_limited_until_the_last_is_out():
    with threadpool_limits(2, "blas"):
        before = _blas_threads()
        assert max(before) == 2
        first, second = ExitStack(), ExitStack()
        first.enter_context(one_blas_thread())
        second.enter_context(one_blas_thread())
        assert _blas_threads() == {1}
        first.close()
        assert _blas_threads() == {1}
        second.close()
        assert _blas_threads() == before
        # And the next one finds it as the first did.
        with one_blas_thread():
            assert _blas_threads() == {1}
        assert _blas_threads() == before


def test_a_module_is_put_back_in_the_mode_it_had_before_all_threads():
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout()).train()
    module[0].eval()
    seen, entered = [], threading.Event()

    def use():
        entered.set()
        with evaluating(module):
            seen.append([part.training for part in module.modules()])

    other = threading.Thread(target=use)
    with evaluating(module):
        other.start()
        entered.wait()
        # It waits: or it would find our mode, and put that back in the end.
        other.join(0.2)
        assert not seen
        assert not any(part.training for part in module.modules())
    other.join()
    assert seen == [[False, False, False]]
    assert [part.training for part in module.modules()] == [True, False, True]
