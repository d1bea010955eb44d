-- One reservation, one order, whatever is delivered twice. NULLs are never equal, so orders that
-- are not Seckill's do not collide.
ALTER TABLE stock_order
  ADD UNIQUE KEY stock_order_event (sid, epoch, seq);
