"""Runs the probe of this project, through ``fit`` alone."""

from worker import Clock, serve

from skpopsteer.sae import SparseAutoencoderProbe


def train(rows, job):
    """Fit the probe; what ``fit`` does before and after its loop is timed too."""
    probe = SparseAutoencoderProbe(
        job["n_neurons"],
        k=job["k"],
        batch_size=job["batch_size"],
        max_iter=job["epochs"],
        tol=0.0,
        learning_rate=job["settings"]["lr"],
        decay=job["settings"]["decay"],
        device=job["device"],
        random_state=0,
    )
    with Clock(job["device"]) as clock:
        probe.fit(rows)
    if probe.n_iter_ != job["epochs"]:
        raise RuntimeError(f"stopped after {probe.n_iter_} epochs")

    def reconstruct(held_out):
        """Encode and decode."""
        Z = probe.transform(held_out)
        return Z, probe.inverse_transform(Z)

    return clock.seconds, reconstruct


if __name__ == "__main__":
    serve(train, "skpopsteer")
