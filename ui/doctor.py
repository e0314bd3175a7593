"""The examination behind `registry doctor`: is this home in a state to be trusted?"""
