"""HOW it is done: the kernel's algorithms and data structures as models, in the steps that another CPU could see."""
